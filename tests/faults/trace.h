/* SPDX-License-Identifier: BSD-2-Clause */
/* Follows processes from system call to system call, and breaks one of them. x86_64 Linux only. */
#ifndef TESTS_FAULTS_TRACE_H
#define TESTS_FAULTS_TRACE_H

#include "shorten.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	STATUS_SKIP = 77,   /* what we end with where nothing can be traced */
	TASKS_MAX = 256,    /* threads at once */
	CALL_NUMBERS = 512, /* the numbers of system calls are below */
};

enum deed {
	DEED_NONE,
	DEED_KILL,
	DEED_KILL_AFTER,
	DEED_FAIL,
	DEED_SHORT,
};

struct task {
	pid_t tid; /* 0: nobody */
	pid_t process;
	size_t call; /* the number of the one that it is in; 0: none */
	bool struck; /* that one is the point */
};

enum { NAME_SIZE = 32 };

struct call {
	char name[NAME_SIZE]; /* with the kind of its descriptor, as shorten_kind() tells it */
	unsigned long nth;    /* of its name */
	int64_t result;
	bool returned;
};

struct count {
	char name[NAME_SIZE];
	unsigned long calls;
};

struct tracer {
	const char *report; /* NULL: none */
	const char *word;   /* NULL: the command itself, or `process` */
	enum deed deed;
	int error;                  /* that a call fails with, positive */
	char point_name[NAME_SIZE]; /* "": any */
	unsigned long point_nth;
	pid_t command;
	pid_t process; /* whose calls are counted; 0: not there yet */
	bool attached; /* it was there before us */
	bool counting;
	bool reached;
	bool leaving; /* let go of everybody */
	struct task tasks[TASKS_MAX];
	struct call *calls; /* owned; the first is number 1 */
	size_t count;
	size_t capacity;
	struct count seen[CALL_NUMBERS]; /* by name; the first without one ends them */
	struct saved saved;
};

/* NULL when it is none that we know. */
const char *syscall_name(uint64_t number);

/* Seizes all threads of tracer->process, which is there already. Ends us when it cannot, as all of these do. */
void trace_attach(struct tracer *tracer);

/* Starts the command, traced unless another process is. */
void trace_start(struct tracer *tracer, char **command);

/* Until the command ends: returns its status, or -1 when it had to be killed after these seconds (0: never). */
int trace_follow(struct tracer *tracer, unsigned seconds);

#endif
