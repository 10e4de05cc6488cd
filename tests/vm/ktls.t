#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The kernel's TLS, in virtual machines whose kernels have it. XFER_VM_KERNEL: folders of kernels, as vm.sh takes them.
# XFER_VM=long: files by both programs too, and other tests of transport-tls; some minutes for each kernel.
. "${top_srcdir:-$(dirname "$0")/../..}/tests/tap/lib.sh"

[ -n "${XFER_VM_KERNEL-}" ] || skip_all "XFER_VM_KERNEL names no kernel that has TLS; make check-ktls fetches one"
! sanitized || skip_all "not with a sanitizer: it is the kernel that is looked at, in a slow machine"
need="XFER_TLS_KERNEL=yes"
modules="ctr ghash-generic gcm aesni-intel tls"

# machine KERNEL MODULES TEST...: each of its checks is one here.
machine() {
	machine_kernel=$1
	status=0
	sh "$top_srcdir/tests/vm/vm.sh" "$@" >"$out" 2>"$err" || status=$?
	[ $status != 77 ] || skip_all "$(cat "$err")"
	machine_name=$(sed -n 's/^# vm: Linux //p' "$out")
	while read -r line; do
		case $line in
		"ok "*"# SKIP "*) skip "$machine_name: ${line#ok * - }" "${line#*# SKIP }" ;;
		"ok "*) ok "$machine_name: ${line#ok * - }" ;;
		"not ok "*) not_ok "$machine_name: ${line#not ok * - }" ;;
		"# vm: status 0 "*) ok "$machine_name: ends well:${line#\# vm: status 0}" ;;
		"# vm: status "*) not_ok "$machine_name: ${line#\# vm: }" ;;
		"#"*) echo "$line" ;;
		esac
	done <"$out"
	is "$status" 0 "the machine of $machine_kernel gets to its end"
	[ "$status" = 0 ] || diag_file "$err"
}

for kernel in $XFER_VM_KERNEL; do
	if [ "${XFER_VM-}" = long ]; then
		machine "$kernel" "$modules" "$need tests/unit/test-tls-kernel" tests/unit/test-tls tests/unit/test-tls-refuse \
			"$need sh $top_srcdir/tests/tap/tls-kernel.t"
		# Without the processor's instructions, by the kernel's plainest cipher.
		machine "$kernel" "ctr ghash-generic gcm tls" "$need tests/unit/test-tls-kernel"
		# TLS, and no cipher for it: the connection stays ours.
		machine "$kernel" tls "XFER_TLS_KERNEL=no tests/unit/test-tls-kernel"
	else
		machine "$kernel" "$modules" "$need tests/unit/test-tls-kernel"
	fi
done
done_testing
