/* SPDX-License-Identifier: MIT */
/* A shared object that is no plugin. */
#include "plugin_v1.h"

extern V1_EXPORT const int something_else;
V1_EXPORT const int something_else = 1;
