/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One thread at a time writes to a file. The kernel has it so anyway, by a lock of the file for which threads spin; here
 * a job whose file is busy waits with the file, and its thread goes on with another. It waits too while so much is written that
 * is not on the disk that a power loss would cost more than it may.
 */
#include "pipeline/stage.h"
#include "pipeline/write_file.h"

/* The file of all pieces; NULL where there are several: such jobs take no turns. */
static struct write_file *only_file(const struct write_job *job)
{
	struct write_file *file = job->count > 0 ? job->pieces[0].file : NULL;

	for (size_t i = 1; i < job->count; i++)
		if (job->pieces[i].file != file)
			return NULL;
	return file;
}

struct job *write_turn_next(struct write_file *file)
{
	struct job *next = file->waiting;

	if (next != NULL) {
		file->waiting = next->next;
		next->next = NULL;
	}
	file->turn = next;
	return next;
}

bool write_turn_take(struct write_job *job)
{
	struct write_file *file = only_file(job);

	if (file == NULL)
		return true;
	pthread_mutex_lock(&file->lock);
	bool ours = file->turn == &job->job || (file->turn == NULL && !write_file_full(file));
	if (ours) {
		file->turn = &job->job;
	} else {
		job->job.next = NULL;
		if (file->waiting == NULL)
			file->waiting = &job->job;
		else
			file->waiting_last->next = &job->job;
		file->waiting_last = &job->job;
	}
	pthread_mutex_unlock(&file->lock);
	return ours;
}

struct job *write_turn_leave(struct write_job *job)
{
	struct write_file *file = only_file(job);

	if (file == NULL)
		return NULL;
	pthread_mutex_lock(&file->lock);
	file->turn = NULL;
	struct job *next = write_file_full(file) ? NULL : write_turn_next(file);
	pthread_mutex_unlock(&file->lock);
	return next;
}
