#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# xfer/plugin.h on its own: as C11 and as C++, without a warning, with the strictest feature macros, and a plug-in in
# each language that exports what the loader looks for.
# shellcheck source=tests/tap/lib.sh
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

warnings='-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror'
# In C++ the compiler cannot be told that what an initialiser does not name is zero on purpose.
cxx_warnings="$warnings -Wno-missing-field-initializers"

echo '#include <xfer/plugin.h>' >"$tmp/alone.c"
echo '#include <xfer/plugin.h>' >"$tmp/alone.cc"
cat >"$tmp/plugin.c" <<'END'
#include <xfer/plugin.h>

static int create(const struct xfer_host *host, const struct xfer_params *params, void **instance)
{
	static char one;
	if (XFER_HAS(host, random) && XFER_HAS(params, values) && params->count == 2)
		*instance = &one;
	host->log(host, XFER_LOG_INFO, "%zu options", params->count);
	return 0;
}

static void destroy(void *instance)
{
	(void)instance;
}

static void timing(void *instance, uint64_t *interval, uint64_t *dead_after)
{
	(void)instance;
	*interval = 1;
	*dead_after = 2;
}

static const struct xfer_option options[] = {
	{ .name = "one", .type = XFER_OPTION_BOOL, .default_text = "yes", .help = "the first" },
	{ .name = "two", .type = XFER_OPTION_INT, .default_text = "2", .min = -1, .max = 3, .help = "the second" },
};

static const struct xfer_liveness_ops ops = {
	.struct_size = sizeof(struct xfer_liveness_ops),
	.timing = timing,
};

static const struct xfer_plugin plugin = {
	XFER_PLUGIN_HEAD,
	.kind = XFER_KIND_LIVENESS,
	.name = "alone",
	.version = "1",
	.summary = "stands alone",
	.thread_model = XFER_THREADS_PARALLEL_OBJECTS,
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.create = create,
	.destroy = destroy,
	.liveness = &ops,
};

XFER_REGISTER_PLUGIN(plugin)
END
cp "$tmp/plugin.c" "$tmp/plugin.cc"

# compile COMPILER... FILE
# shellcheck disable=SC2317
compile() {
	"$@" -I"$top_srcdir/include" -c -o "$tmp/object.o"
}

# plugin_of COMPILER... FILE: a shared object with that one symbol.
# shellcheck disable=SC2317
plugin_of() {
	"$@" -I"$top_srcdir/include" -fPIC -shared -fvisibility=hidden -o "$tmp/plugin.so" &&
		[ "$(nm -D --defined-only "$tmp/plugin.so" | sed 's/.* //')" = xfer_plugin_v1 ]
}

case ${CC:-cc} in gcc | clang | clang-14) ours= ;; *) ours=${CC:-cc} ;; esac
for cc in gcc clang clang-14 ${ours:+"$ours"}; do
	command -v "${cc%% *}" >/dev/null || continue
	for standard in c11 gnu11 c17; do
		# shellcheck disable=SC2086
		check "$cc -std=$standard: the header alone" compile $cc -std=$standard $warnings -Wstrict-prototypes "$tmp/alone.c"
	done
	# shellcheck disable=SC2086
	check "$cc: with nothing but POSIX" compile $cc -std=c11 -D_POSIX_C_SOURCE=200809L $warnings "$tmp/alone.c"
	# shellcheck disable=SC2086
	check "$cc: a plug-in" plugin_of $cc -std=c11 $warnings -Wmissing-prototypes "$tmp/plugin.c"
done

cxx_seen=false
for cxx in g++ clang++ clang++-14; do
	command -v "$cxx" >/dev/null || continue
	echo 'int main() { return 0; }' >"$tmp/empty.cc"
	"$cxx" -c -o "$tmp/object.o" "$tmp/empty.cc" 2>/dev/null || continue
	cxx_seen=true
	for standard in c++11 c++17 c++20; do
		# shellcheck disable=SC2086
		check "$cxx -std=$standard: the header alone" compile $cxx -std=$standard $warnings "$tmp/alone.cc"
	done
	# shellcheck disable=SC2086
	check "$cxx: a plug-in with designated initialisers" plugin_of $cxx -std=c++20 $cxx_warnings "$tmp/plugin.cc"
done
$cxx_seen || skip "the header as C++" "there is no C++ compiler"

done_testing
