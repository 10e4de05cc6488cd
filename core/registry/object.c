/* SPDX-License-Identifier: BSD-2-Clause */
#include "registry/object.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What this program is made for is what it can load. */
static int own_machine(unsigned *out)
{
	ElfW(Ehdr) ours;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : pread(fd, &ours, sizeof(ours), 0);
	if (fd >= 0)
		close(fd);
	if (got != (ssize_t)sizeof(ours))
		return -EIO;
	*out = ours.e_machine;
	return 0;
}

/* Whoever maps a segment beyond the end of its file gets SIGBUS. */
static int check_segments(const char *path, int fd, const ElfW(Ehdr) * head, uint64_t size, struct error *err)
{
	for (unsigned i = 0; i < head->e_phnum; i++) {
		ElfW(Phdr) segment;
		uint64_t at = head->e_phoff + (uint64_t)i * sizeof(segment);
		uint64_t end;
		if (pread(fd, &segment, sizeof(segment), (off_t)at) != (ssize_t)sizeof(segment))
			return error_set(err, -ENOEXEC, FAULT_USAGE,
			                 "%s: cut short: its table of segments lies beyond its end, at %llu bytes",
			                 path, (unsigned long long)size);
		if (segment.p_type != PT_LOAD)
			continue;
		if (__builtin_add_overflow(segment.p_offset, segment.p_filesz, &end) || end > size)
			return error_set(err, -ENOEXEC, FAULT_USAGE,
			                 "%s: cut short: it has %llu bytes, and a segment that ends at %llu", path,
			                 (unsigned long long)size, (unsigned long long)end);
	}
	return 0;
}

static int check_file(const char *path, int fd, struct error *err)
{
	ElfW(Ehdr) head;
	struct stat st;
	unsigned machine;
	if (fstat(fd, &st) < 0)
		return error_system(err, -errno, FAULT_USAGE, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, FAULT_USAGE, "%s: not a regular file", path);
	bool native = sizeof(void *) == 8;
	if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != (native ? ELFCLASS64 : ELFCLASS32) || head.e_phentsize != sizeof(ElfW(Phdr)))
		return 0; /* dlopen() says what it is */
	if (own_machine(&machine) == 0 && head.e_machine != machine)
		return error_set(err, -ENOEXEC, FAULT_USAGE,
		                 "%s: made for another kind of processor (ELF machine %u, this program is of %u)", path,
		                 (unsigned)head.e_machine, machine);
	return check_segments(path, fd, &head, (uint64_t)st.st_size, err);
}

int object_check(const char *path, struct error *err)
{
	/* A FIFO in its place would let us wait for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_system(err, -errno, FAULT_USAGE, "%s", path);
	int rc = check_file(path, fd, err);
	close(fd);
	return rc;
}
