/* SPDX-License-Identifier: MIT */
/* Target descriptions of stubs, in pieces. */
#ifndef TESTS_UNIT_GDB_XML_H
#define TESTS_UNIT_GDB_XML_H

#define XML(inner)                                                                                 \
	"<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>" inner         \
	"</target>"
#define REG(name, more) "<reg name=\"" name "\" bitsize=\"64\"" more "/>"
#define QEMU_TARGET                                                                                \
	XML("<architecture>i386:x86-64</architecture><xi:include href=\"i386-64bit.xml\"/>")

#endif
