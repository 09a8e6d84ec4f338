/* SPDX-License-Identifier: MIT */
/* The command page: two pages of init that change places, rights and contents on command. */
#ifndef GUEST_SHEET_H
#define GUEST_SHEET_H

void command_page(const char *action);

#endif
