/* SPDX-License-Identifier: BSD-2-Clause */
/* SipHash-2-4, written from the paper: two rounds per word of eight bytes, four to finish. */
#include "siphash.h"

#include <endian.h>
#include <string.h>

/* The four words of the state, named as in the paper. */
struct state {
	uint64_t v0;
	uint64_t v1;
	uint64_t v2;
	uint64_t v3;
};

static uint64_t rotate(uint64_t word, unsigned int bits)
{
	return (word << bits) | (word >> (64 - bits));
}

static uint64_t load(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

static void mix(struct state *s, unsigned int rounds)
{
	while (rounds-- > 0) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate(s->v1, 13) ^ s->v0;
		s->v3 = rotate(s->v3, 16) ^ s->v2;
		s->v0 = rotate(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotate(s->v1, 17) ^ s->v2;
		s->v3 = rotate(s->v3, 21) ^ s->v0;
		s->v2 = rotate(s->v2, 32);
	}
}

static void absorb(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix(s, 2);
	s->v0 ^= word;
}

struct siphash_key siphash_key(const uint8_t bytes[16])
{
	return (struct siphash_key){ .half = { load(bytes), load(bytes + 8) } };
}

uint64_t siphash24(const struct siphash_key *key, const void *bytes, size_t len)
{
	/* The constants are the paper's: "somepseudorandomlygeneratedbytes" in four words. */
	struct state s = {
		.v0 = key->half[0] ^ UINT64_C(0x736f6d6570736575),
		.v1 = key->half[1] ^ UINT64_C(0x646f72616e646f6d),
		.v2 = key->half[0] ^ UINT64_C(0x6c7967656e657261),
		.v3 = key->half[1] ^ UINT64_C(0x7465646279746573),
	};
	const uint8_t *at = bytes;
	size_t left = len;
	uint8_t tail[8] = { 0 };

	for (; left >= 8; left -= 8, at += 8)
		absorb(&s, load(at));
	if (left > 0)
		memcpy(tail, at, left);
	tail[7] = (uint8_t)len; /* modulo 256, as the paper says */
	absorb(&s, load(tail));
	s.v2 ^= 0xff;
	mix(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
