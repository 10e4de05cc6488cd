/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 (FIPS 180-4) in three lanes. What comes out is compared with OpenSSL's by tests; see lanes.h. */
#include "lanes.h"

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define LANES_TARGET __attribute__((target("sha,ssse3,sse4.1")))
#define LANES_INLINE static inline __attribute__((always_inline)) LANES_TARGET

enum {
	BLOCK = 64,
	LENGTH_AT = BLOCK - 8 /* where the length stands in the last block */
};

static const uint32_t START[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	                           0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static const uint32_t K[64] __attribute__((aligned(16))) = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The buffer that a lane is at. */
struct lane {
	__m128i abef, cdgh; /* the state, as the instructions want it */
	const uint8_t *at;  /* the next block */
	size_t blocks;      /* that lie at `at` */
	uint8_t *out;
	bool ends; /* `at` is in `tail`: what comes then is the digest */
	size_t tail_blocks;
	uint8_t tail[2 * BLOCK]; /* what is no whole block, with the padding */
};

#ifdef __clang__
/* Its scheduler moves the rounds of the lanes apart, and loses a third. */
#define LANES_IN_ORDER(r) __asm__("" : "+x"((r)->abef), "+x"((r)->cdgh))
#else
#define LANES_IN_ORDER(r) ((void)0)
#endif

/* One block in the making. */
struct rounds {
	__m128i abef, cdgh;
	__m128i words[4]; /* the last 16 words of the message schedule */
};

/* Rounds 4 * group to 4 * group + 3, and what the words of later rounds take from these. */
LANES_INLINE void rounds_four(struct rounds *r, const uint8_t *block, int group)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i *now = &r->words[group & 3], *next = &r->words[(group + 1) & 3], *last = &r->words[(group + 3) & 3];

	if (group < 4)
		*now = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)block + group), swap);
	__m128i add = _mm_add_epi32(*now, _mm_load_si128((const __m128i *)(const void *)K + group));
	r->cdgh = _mm_sha256rnds2_epu32(r->cdgh, r->abef, add);
	if (group >= 3 && group < 15)
		*next = _mm_sha256msg2_epu32(_mm_add_epi32(*next, _mm_alignr_epi8(*now, *last, 4)), *now);
	r->abef = _mm_sha256rnds2_epu32(r->abef, r->cdgh, _mm_shuffle_epi32(add, 0x0e));
	if (group >= 1 && group < 13)
		*last = _mm_sha256msg1_epu32(*last, *now);
	LANES_IN_ORDER(r);
}

/* The same group of rounds in each lane, so that none waits for itself. */
LANES_INLINE void lanes_four(struct rounds *r, struct lane *const *lanes, size_t at, int count, int group)
{
	rounds_four(&r[0], lanes[0]->at + at, group);
	if (count > 1)
		rounds_four(&r[1], lanes[1]->at + at, group);
	if (count > 2)
		rounds_four(&r[2], lanes[2]->at + at, group);
}

/* The state of a lane before and behind a block. One lane after the other and not in a loop over an array of them: that
   stays a loop at -O2, with its array in memory, and costs 5 %. */
LANES_INLINE void rounds_begin(struct rounds *r, const struct lane *lane)
{
	r->abef = lane->abef;
	r->cdgh = lane->cdgh;
}

LANES_INLINE void rounds_add(struct rounds *r, __m128i abef, __m128i cdgh)
{
	r->abef = _mm_add_epi32(r->abef, abef);
	r->cdgh = _mm_add_epi32(r->cdgh, cdgh);
}

LANES_INLINE void rounds_end(const struct rounds *r, struct lane *lane, size_t blocks)
{
	lane->abef = r->abef;
	lane->cdgh = r->cdgh;
	lane->at += blocks * BLOCK;
	lane->blocks -= blocks;
}

/* Takes `blocks` blocks in each of `count` lanes; `count` is known to the compiler, for each of the callers. */
LANES_INLINE void lanes_blocks(struct lane *const *lanes, size_t blocks, int count)
{
	struct rounds r[LANES] = { 0 };

	for (int i = 0; i < count; i++)
		rounds_begin(&r[i], lanes[i]);
	for (size_t at = 0; at < blocks * BLOCK; at += BLOCK) {
		__m128i abef0 = r[0].abef, abef1 = r[1].abef, abef2 = r[2].abef;
		__m128i cdgh0 = r[0].cdgh, cdgh1 = r[1].cdgh, cdgh2 = r[2].cdgh;

		lanes_four(r, lanes, at, count, 0);
		lanes_four(r, lanes, at, count, 1);
		lanes_four(r, lanes, at, count, 2);
		lanes_four(r, lanes, at, count, 3);
		lanes_four(r, lanes, at, count, 4);
		lanes_four(r, lanes, at, count, 5);
		lanes_four(r, lanes, at, count, 6);
		lanes_four(r, lanes, at, count, 7);
		lanes_four(r, lanes, at, count, 8);
		lanes_four(r, lanes, at, count, 9);
		lanes_four(r, lanes, at, count, 10);
		lanes_four(r, lanes, at, count, 11);
		lanes_four(r, lanes, at, count, 12);
		lanes_four(r, lanes, at, count, 13);
		lanes_four(r, lanes, at, count, 14);
		lanes_four(r, lanes, at, count, 15);
		rounds_add(&r[0], abef0, cdgh0);
		if (count > 1)
			rounds_add(&r[1], abef1, cdgh1);
		if (count > 2)
			rounds_add(&r[2], abef2, cdgh2);
	}
	for (int i = 0; i < count; i++)
		rounds_end(&r[i], lanes[i], blocks);
}

static LANES_TARGET void lanes_one(struct lane *const *lanes, size_t blocks)
{
	lanes_blocks(lanes, blocks, 1);
}

static LANES_TARGET void lanes_two(struct lane *const *lanes, size_t blocks)
{
	lanes_blocks(lanes, blocks, 2);
}

static LANES_TARGET void lanes_three(struct lane *const *lanes, size_t blocks)
{
	lanes_blocks(lanes, blocks, 3);
}

static LANES_TARGET void lane_begin(struct lane *lane, const struct iovec *buffer, uint8_t *out)
{
	size_t len = buffer->iov_len, rest = len % BLOCK;
	uint64_t bits = (uint64_t)len * 8;

	lane->abef = _mm_set_epi32((int)START[0], (int)START[1], (int)START[4], (int)START[5]);
	lane->cdgh = _mm_set_epi32((int)START[2], (int)START[3], (int)START[6], (int)START[7]);
	lane->at = buffer->iov_base;
	lane->blocks = len / BLOCK;
	lane->out = out;
	lane->ends = false;
	lane->tail_blocks = rest < LENGTH_AT ? 1 : 2;
	memset(lane->tail, 0, sizeof(lane->tail));
	if (rest > 0)
		memcpy(lane->tail, lane->at + len - rest, rest);
	lane->tail[rest] = 0x80;
	for (int i = 0; i < 8; i++)
		lane->tail[lane->tail_blocks * BLOCK - 1 - (size_t)i] = (uint8_t)(bits >> (8 * i));
}

static LANES_TARGET void lane_finish(const struct lane *lane)
{
	/* The state has its first word highest; it is turned round, put together, and its bytes made big-endian. */
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i abef = _mm_shuffle_epi32(lane->abef, 0x1b), cdgh = _mm_shuffle_epi32(lane->cdgh, 0x1b);
	__m128i abcd = _mm_unpacklo_epi64(abef, cdgh), efgh = _mm_unpackhi_epi64(abef, cdgh);

	_mm_storeu_si128((__m128i *)(void *)lane->out, _mm_shuffle_epi8(abcd, swap));
	_mm_storeu_si128((__m128i *)(void *)lane->out + 1, _mm_shuffle_epi8(efgh, swap));
}

/* Has the lane blocks to go on with? Its tail comes behind its buffer; false: the digest is written. */
static LANES_TARGET bool lane_next(struct lane *lane)
{
	if (lane->blocks > 0)
		return true;
	if (lane->ends) {
		lane_finish(lane);
		return false;
	}
	lane->ends = true;
	lane->at = lane->tail;
	lane->blocks = lane->tail_blocks;
	return true;
}

LANES_TARGET void lanes_digest(const struct iovec *buffers, size_t count, uint8_t *const *outs)
{
	struct lane room[LANES];
	struct lane *lanes[LANES]; /* the first `busy` of them have a buffer */
	size_t begun = 0;
	int busy = 0;

	for (int i = 0; i < LANES; i++)
		lanes[i] = &room[i];
	for (;;) {
		for (; busy < LANES && begun < count; begun++, busy++)
			lane_begin(lanes[busy], &buffers[begun], outs[begun]);
		if (busy == 0)
			return;

		size_t blocks = SIZE_MAX;
		bool through = false;

		for (int i = 0; i < busy; i++) {
			if (!lane_next(lanes[i])) {
				struct lane *free = lanes[i];

				lanes[i] = lanes[busy - 1];
				lanes[--busy] = free;
				through = true;
				break;
			}
			if (lanes[i]->blocks < blocks)
				blocks = lanes[i]->blocks;
		}
		if (through)
			continue; /* another buffer into that lane first */
		if (busy == 3)
			lanes_three(lanes, blocks);
		else if (busy == 2)
			lanes_two(lanes, blocks);
		else
			lanes_one(lanes, blocks);
	}
}

bool lanes_usable(void)
{
	unsigned a, b, c, d;

	/* Leaf 1: SSSE3 and SSE4.1. Leaf 7: SHA. */
	if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0)
		return false;
	return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

#else /* another architecture: OpenSSL has it all */

bool lanes_usable(void)
{
	return false;
}

void lanes_digest(const struct iovec *buffers, size_t count, uint8_t *const *outs)
{
	(void)buffers;
	(void)count;
	(void)outs;
}

#endif
