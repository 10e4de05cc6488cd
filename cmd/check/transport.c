/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of a transport plug-in. */
#include "check.h"

const struct kit_check kit_transport_checks[] = {
	{ 0 },
};
