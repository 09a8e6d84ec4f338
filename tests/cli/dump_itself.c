/* SPDX-License-Identifier: MIT */
/*
 * A program of Windows that writes two minidumps of itself, argument 1 with all its memory and argument 2 without, says so
 * and its number, and waits for the end of its standard input.
 */
#include <windows.h>

#include <dbghelp.h>
#include <stdio.h>

static DWORD WINAPI wait_for_ever(void *unused)
{
	(void)unused;
	Sleep(INFINITE);
	return 0;
}

static int dump(const char *path, MINIDUMP_TYPE type)
{
	HANDLE file = CreateFileA(path, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, 0, NULL);
	int made = MiniDumpWriteDump(GetCurrentProcess(), GetCurrentProcessId(), file, type, NULL,
				     NULL, NULL);

	CloseHandle(file);
	return made;
}

int main(int argc, char **argv)
{
	DWORD tid;
	HANDLE thread = CreateThread(NULL, 0, wait_for_ever, NULL, 0, &tid);

	if (argc != 3 || !thread || !dump(argv[1], MiniDumpWithFullMemory) ||
	    !dump(argv[2], MiniDumpNormal))
		return 1;
	printf("%lu %lu\n", GetCurrentProcessId(), tid);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
