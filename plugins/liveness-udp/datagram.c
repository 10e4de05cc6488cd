/* SPDX-License-Identifier: BSD-2-Clause */
/* Heartbeat datagrams to bytes and back; drawn in datagram.h. */
#include "datagram.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum {
	MAGIC = 0x58464842, /* "XFHB" */
	VERSION = 1,
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_KIND = 5,
	AT_STAGE = 6,
	AT_SEQUENCE = 8,
	AT_ASKED = 16,
	AT_RECEIVED = 24,
	AT_VERIFIED = 32,
	AT_DURABLE = 40,
	AT_STAGE_AGE = 48,
	AT_RTT = 52,
	AT_LOSS = 56,
	AT_HASH = 60
};

_Static_assert(AT_HASH + 8 == DATAGRAM_SIZE, "the hash ends the datagram");

static void put16(uint8_t *at, uint16_t number)
{
	number = htobe16(number);
	memcpy(at, &number, sizeof(number));
}

static void put32(uint8_t *at, uint32_t number)
{
	number = htobe32(number);
	memcpy(at, &number, sizeof(number));
}

static void put64(uint8_t *at, uint64_t number)
{
	number = htobe64(number);
	memcpy(at, &number, sizeof(number));
}

static uint16_t get16(const uint8_t *at)
{
	uint16_t number;

	memcpy(&number, at, sizeof(number));
	return be16toh(number);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	return be32toh(number);
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t number;

	memcpy(&number, at, sizeof(number));
	return be64toh(number);
}

/* The slot stands in front of the datagram on the network, and so it does under the hash. */
static uint64_t datagram_hash(const uint8_t *bytes, const struct siphash_key *key, uint64_t slot)
{
	uint8_t whole[8 + AT_HASH];

	put64(whole, slot);
	memcpy(whole + 8, bytes, AT_HASH);
	return siphash24(key, whole, sizeof(whole));
}

void datagram_write(uint8_t out[DATAGRAM_SIZE], const struct siphash_key *key, uint64_t slot,
                    const struct datagram *datagram)
{
	const struct progress *progress = &datagram->progress;

	put32(out + AT_MAGIC, MAGIC);
	out[AT_VERSION] = VERSION;
	out[AT_KIND] = (uint8_t)datagram->kind;
	put16(out + AT_STAGE, progress->stage);
	put64(out + AT_SEQUENCE, datagram->sequence);
	put64(out + AT_ASKED, datagram->asked_at);
	put64(out + AT_RECEIVED, progress->received);
	put64(out + AT_VERIFIED, progress->verified);
	put64(out + AT_DURABLE, progress->durable);
	put32(out + AT_STAGE_AGE, progress->stage_age_ms);
	put32(out + AT_RTT, progress->rtt_us);
	put32(out + AT_LOSS, progress->loss_ppm);
	put64(out + AT_HASH, datagram_hash(out, key, slot));
}

int datagram_read(const void *bytes, size_t len, const struct siphash_key *key, uint64_t slot, enum datagram_kind kind,
                  struct datagram *out)
{
	const uint8_t *at = bytes;

	if (len != DATAGRAM_SIZE || get32(at + AT_MAGIC) != MAGIC || at[AT_VERSION] != VERSION || at[AT_KIND] != kind)
		return -EBADMSG;
	if (get64(at + AT_HASH) != datagram_hash(at, key, slot))
		return -EBADMSG;
	*out = (struct datagram){
		.kind = kind,
		.sequence = get64(at + AT_SEQUENCE),
		.asked_at = get64(at + AT_ASKED),
		.progress = {
			.received = get64(at + AT_RECEIVED),
			.verified = get64(at + AT_VERIFIED),
			.durable = get64(at + AT_DURABLE),
			.stage_age_ms = get32(at + AT_STAGE_AGE),
			.rtt_us = get32(at + AT_RTT),
			.loss_ppm = get32(at + AT_LOSS),
			.stage = get16(at + AT_STAGE),
		},
	};
	return 0;
}
