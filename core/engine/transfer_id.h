/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose a partial file is: an id that follows from who transfers what to where, so that the same command finds what it
 * left and no other client does. A number kept by this installation is part of it: 16 random bytes as hex in
 * $XDG_STATE_HOME/xfer/installation (else ~/.local/state/xfer/installation), made at the first transfer. Where it cannot
 * be kept, host name and user stand for it.
 */
#ifndef XFER_ENGINE_TRANSFER_ID_H
#define XFER_ENGINE_TRANSFER_ID_H

#include <stdint.h>

enum { TRANSFER_ID = 16, TRANSFER_ID_NAME_MAX = 32 };

/*
 * Both texts as they mean the same in whatever folder the command runs: an URL in full, an absolute path. Reads and writes
 * a small file: it may block. -ENOMEM, -EIO when there is no SHA-256.
 */
int transfer_id_make(uint8_t out[TRANSFER_ID], const char *source, const char *destination);
/* The hidden name beside the destination: ".xfer-" and 16 hex digits of the id. Returns out. */
char *transfer_id_name(char out[TRANSFER_ID_NAME_MAX], const uint8_t id[TRANSFER_ID]);

#endif
