/* SPDX-License-Identifier: MIT */
#include "gdb_stub.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- sending ------------------------------------------------------------------------------------ */

static void send_bytes(struct gdb_stub *stub, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len > 0) {
		size_t some = stub->slowly && len > 7 ? 7 : len;
		ssize_t n = send(stub->client, at, some, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		at += n;
		len -= (size_t)n;
	}
}

static void send_text(struct gdb_stub *stub, const char *text)
{
	send_bytes(stub, text, strlen(text));
}

/* How often the byte at `at` comes again behind it, as far as one count can say. */
static size_t run_of(const uint8_t *at, const uint8_t *end)
{
	size_t n = 0;

	while (at + n + 1 < end && at[n + 1] == at[0] && n < 97)
		n++;
	while (n == 6 || n == 7) /* '#' and '$' are no counts */
		n--;
	return n;
}

static int is_faulty(const struct gdb_stub *stub)
{
	return stub->n_memory >= stub->from &&
	       (!stub->times || stub->n_memory < stub->from + stub->times);
}

/* As it is kept, but for the checksum on a line that damages. */
static void send_last(struct gdb_stub *stub)
{
	int damaged = stub->fault == STUB_DAMAGES && stub->of_memory && is_faulty(stub);

	send_bytes(stub, stub->last, stub->last_len - damaged);
	if (damaged)
		send_text(stub, "x");
}

static void send_packet(struct gdb_stub *stub, const void *data, size_t len)
{
	const uint8_t *at = data, *end = at + len;
	uint8_t *out = stub->last, sum = 0;

	*out++ = '$';
	for (; at < end; at++) {
		uint8_t *from = out;
		if (strchr("#$}*", *at) && *at) {
			*out++ = '}';
			*out++ = *at ^ 0x20;
		} else {
			size_t n = stub->runs ? run_of(at, end) : 0;
			*out++ = *at;
			if (n >= 3) {
				*out++ = '*';
				*out++ = (uint8_t)(n + 29);
				at += n;
			}
		}
		while (from < out)
			sum = (uint8_t)(sum + *from++);
	}
	out += sprintf((char *)out, "#%02X", sum); /* in capitals, which are digits as well */
	stub->last_len = (size_t)(out - stub->last);
	send_last(stub);
}

static void answer(struct gdb_stub *stub, const char *text)
{
	send_packet(stub, text, strlen(text));
}

/* ---- memory --------------------------------------------------------------------------------------- */

static int is_there(uint64_t addr, uint64_t len)
{
	return addr < STUB_SIZE && len <= STUB_SIZE - addr &&
	       (addr >= STUB_HOLE + STUB_HOLE_LEN || addr + len <= STUB_HOLE);
}

static size_t put_bytes(const struct gdb_stub *stub, uint8_t *out, const uint8_t *bytes, size_t n)
{
	if (stub->binary_read) {
		out[0] = 'b';
		memcpy(out + 1, bytes, n);
		return n + 1;
	}
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = (uint8_t) "0123456789abcdef"[bytes[i] >> 4];
		out[2 * i + 1] = (uint8_t) "0123456789abcdef"[bytes[i] & 15];
	}
	return 2 * n;
}

static void hang_up(struct gdb_stub *stub)
{
	shutdown(stub->client, SHUT_RDWR);
}

static void answer_faulty(struct gdb_stub *stub, uint8_t *out, size_t len)
{
	static const uint8_t noise[4096] = { 'x' };

	switch (stub->fault) {
	case STUB_DAMAGES:
		send_packet(stub, out, len);
		break;
	case STUB_HANGS_UP:
		hang_up(stub);
		break;
	case STUB_SAYS_TOO_MUCH:
		memcpy(out + len, "0011", 4);
		send_packet(stub, out, len + 4);
		break;
	case STUB_SAYS_NO_HEX:
		memset(out, 'q', len);
		send_packet(stub, out, len);
		break;
	case STUB_SAYS_ODD:
		send_packet(stub, out, len - 1);
		break;
	case STUB_SAYS_LITTLE:
		send_packet(stub, out, (len / 2 + 1) & ~(size_t)1);
		break;
	case STUB_SAYS_NOTHING:
		answer(stub, "");
		break;
	case STUB_CUTS_OFF:
		send_text(stub, "$0011223344");
		send_packet(stub, out, len);
		break;
	case STUB_DRIPS:
		while (send(stub->client, noise, sizeof(noise), MSG_NOSIGNAL) > 0)
			;
		break;
	default: /* STALLS: nothing */
		break;
	}
}

static void read_memory(struct gdb_stub *stub, uint64_t addr, uint64_t len)
{
	static __thread uint8_t out[2 * STUB_SIZE + 8];
	int faulty = is_faulty(stub) && stub->fault != STUB_SOUND;
	size_t n = 0;

	stub->longest = len > stub->longest ? (unsigned)len : stub->longest;
	stub->n_hole += !is_there(addr, len);
	if (is_there(addr, len))
		n = put_bytes(stub, out, stub->memory + addr, (size_t)len);
	if (faulty && n)
		answer_faulty(stub, out, n);
	else if (n)
		send_packet(stub, out, n);
	else
		answer(stub, "E01");
	stub->n_memory++;
}

static void write_memory(struct gdb_stub *stub, uint64_t addr, uint64_t len, const uint8_t *bytes,
			 size_t n, int hex)
{
	if (hex ? n != 2 * len : n != len) {
		answer(stub, "E02");
		return;
	}
	if (len && !is_there(addr, len)) {
		answer(stub, "E01");
		return;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned byte = bytes[i];
		if (hex)
			sscanf((const char *)bytes + 2 * i, "%2x", &byte);
		stub->memory[addr + i] = (uint8_t)byte;
	}
	stub->n_memory += len > 0;
	answer(stub, "OK");
}

static void serve_memory(struct gdb_stub *stub, const uint8_t *data, size_t len)
{
	unsigned long long addr = 0, n = 0;
	int head = 0;

	if (sscanf((const char *)data + 1, "%llx,%llx%n", &addr, &n, &head) < 2) {
		stub->n_unsound++;
		answer(stub, "E03");
		return;
	}
	head++;
	if (data[0] == 'm' || data[0] == 'x')
		read_memory(stub, addr, n);
	else
		write_memory(stub, addr, n, data + head + 1, len - (size_t)head - 1,
			     data[0] == 'M');
}

/* ---- everything else -------------------------------------------------------------------------------- */

/* "...:OFF,LEN" of an object. */
static void serve_object(struct gdb_stub *stub, const char *text, const char *object)
{
	static __thread char out[1 << 15];
	const char *colon = strrchr(text, ':');
	unsigned long off = 0, n = 0;

	if (!object || !colon || sscanf(colon + 1, "%lx,%lx", &off, &n) < 2) {
		answer(stub, object ? "E00" : "");
		return;
	}
	size_t len = strlen(object);
	off = off < len ? off : len;
	n = n < len - off ? n : len - off;
	n = n < sizeof(out) - 1 ? n : sizeof(out) - 1;
	out[0] = off + n < len ? 'm' : 'l';
	memcpy(out + 1, object + off, n);
	send_packet(stub, out, n + 1);
}

static void serve_file(struct gdb_stub *stub, const char *text)
{
	static __thread char out[1 << 15];
	unsigned long fd, off, n;

	if (!stub->maps) {
		answer(stub, "");
	} else if (strncmp(text, "vFile:open:", 11) == 0) {
		answer(stub, "F5");
	} else if (sscanf(text, "vFile:pread:%lx,%lx,%lx", &fd, &n, &off) == 3) {
		size_t len = strlen(stub->maps);
		off = off < len ? off : len;
		n = n < len - off ? n : len - off;
		int head = sprintf(out, "F%lx;", n);
		memcpy(out + head, stub->maps + off, n);
		send_packet(stub, out, (size_t)head + n);
	} else {
		answer(stub, "F0");
	}
}

static void print(struct gdb_stub *stub, const char *text)
{
	static __thread char out[1 << 15];

	for (const char *end; *text; text = *end ? end + 1 : end) {
		int n = sprintf(out, "O");
		end = strchr(text, '\n') ? strchr(text, '\n') : text + strlen(text);
		for (const char *at = text; at < end; at++)
			n += sprintf(out + n, "%02x", (uint8_t)*at);
		sprintf(out + n, "0a");
		answer(stub, out);
	}
	answer(stub, "OK");
}

static void serve_monitor(struct gdb_stub *stub, const char *hex)
{
	char command[64] = "";
	unsigned byte;

	for (int i = 0; i < 63 && sscanf(hex + 2 * i, "%2x", &byte) == 1; i++)
		command[i] = (char)byte;
	if (strcmp(command, "info mtree -f") == 0)
		print(stub, stub->monitor_mtree);
	else if (strcmp(command, "info registers") == 0)
		print(stub, stub->monitor_registers ? stub->monitor_registers : "");
	else
		print(stub, "");
}

static void hello(struct gdb_stub *stub)
{
	char text[256] = "hwbreak+";

	if (stub->packet_size)
		sprintf(text + strlen(text), ";PacketSize=%x", stub->packet_size);
	if (stub->no_ack)
		strcat(text, ";QStartNoAckMode+");
	if (stub->description)
		strcat(text, ";qXfer:features:read+");
	if (stub->memory_map)
		strcat(text, ";qXfer:memory-map:read+");
	if (stub->maps)
		strcat(text, ";qXfer:auxv:read+");
	if (stub->binary_read)
		strcat(text, ";binary-upload+");
	answer(stub, text);
}

static int begins(const uint8_t *data, const char *text)
{
	return strncmp((const char *)data, text, strlen(text)) == 0;
}

static void serve_queries(struct gdb_stub *stub, const uint8_t *data)
{
	const char *text = (const char *)data;

	if (begins(data, "qSupported"))
		hello(stub);
	else if (begins(data, "qXfer:features:read:target.xml:"))
		serve_object(stub, text, stub->description);
	else if (begins(data, "qXfer:features:read:"))
		serve_object(stub, text, stub->included);
	else if (begins(data, "qXfer:memory-map:read::"))
		serve_object(stub, text, stub->memory_map);
	else if (begins(data, "qfThreadInfo"))
		answer(stub, stub->threads ? stub->threads : "m1,a");
	else if (begins(data, "qsThreadInfo"))
		answer(stub, "l");
	else if (begins(data, "qC"))
		answer(stub, "QC4d2");
	else if (begins(data, "qRcmd,") && stub->monitor_mtree)
		serve_monitor(stub, text + 6);
	else if (begins(data, "qqemu.PhyMemMode") && stub->qemu)
		answer(stub, stub->physical ? "1" : "0");
	else
		answer(stub, "");
}

static void serve_settings(struct gdb_stub *stub, const uint8_t *data)
{
	if (begins(data, "Qqemu.PhyMemMode:") && stub->qemu) {
		stub->physical = data[17] == '1';
		answer(stub, "OK");
	} else if (begins(data, "QStartNoAckMode") && stub->no_ack) {
		answer(stub, "OK");
		stub->acks = 0;
	} else if (begins(data, "QNonStop:1") && stub->nonstop) {
		answer(stub, "OK");
	} else {
		answer(stub, "");
	}
}

/* ---- a machine that comes to breakpoints --------------------------------------------------------- */

static int has_breakpoint(const struct gdb_stub *stub, uint64_t pc)
{
	for (unsigned i = 0; i < stub->n_breakpoints; i++) {
		if (stub->breakpoints[i] == pc)
			return 1;
	}
	return 0;
}

static void serve_breakpoint(struct gdb_stub *stub, const char *text)
{
	unsigned long long addr = 0;
	unsigned kind = 0, i = 0;

	if (!(stub->calls || stub->stops) || stub->no_breakpoints) {
		answer(stub, stub->no_breakpoints ? stub->no_breakpoints : "");
		return;
	}
	sscanf(text + 1, "%u,%llx", &kind, &addr);
	while (i < stub->n_breakpoints && stub->breakpoints[i] != addr)
		i++;
	if (text[0] == 'Z' && i == stub->n_breakpoints && i < STUB_BREAKPOINTS)
		stub->breakpoints[stub->n_breakpoints++] = addr;
	else if (text[0] == 'z' && i < stub->n_breakpoints)
		stub->breakpoints[i] = stub->breakpoints[--stub->n_breakpoints];
	if (stub->n_breakpoints > stub->most_breakpoints)
		stub->most_breakpoints = stub->n_breakpoints;
	answer(stub, "OK");
}

static void tell_stop(struct gdb_stub *stub, unsigned thread)
{
	char text[32];

	snprintf(text, sizeof(text), "T05thread:%02x;", thread);
	for (unsigned i = 0; i <= stub->flood; i++)
		answer(stub, text);
}

/* As QEMU: who stands at a breakpoint stops there again, unless it has passed it by a step. */
static void run_machine(struct gdb_stub *stub)
{
	stub->n_continued++;
	stub->running = 1;
	if (stub->at_stop < stub->n_stops) {
		const char *text = stub->stops[stub->at_stop++];
		stub->running = !text;
		if (text && strcmp(text, "hang up") == 0)
			hang_up(stub);
		else if (text)
			answer(stub, text);
		return;
	}
	for (; stub->at_call < stub->n_calls; stub->at_call++, stub->passed = 0) {
		const struct stub_call *call = &stub->calls[stub->at_call];
		if (stub->passed || !has_breakpoint(stub, call->pc))
			continue;
		stub->running = 0;
		tell_stop(stub, call->thread);
		return;
	}
}

static void step_machine(struct gdb_stub *stub, const char *text)
{
	unsigned thread = 0;

	sscanf(text, "vCont;s:%x", &thread);
	if (stub->n_stepped++ >= stub->lame_steps)
		stub->passed |= stub->at_call < stub->n_calls &&
				stub->calls[stub->at_call].thread == thread;
	tell_stop(stub, thread);
}

/* Each register holds its number times 0x1000 and the thread; rip where the machine is. */
static void serve_machine_registers(struct gdb_stub *stub)
{
	char text[16 * STUB_REGISTERS + 1];
	const struct stub_call *call =
		&stub->calls[stub->at_call < stub->n_calls ? stub->at_call : stub->n_calls - 1];

	for (unsigned i = 0; i < STUB_REGISTERS; i++) {
		uint64_t pc = call->pc + (stub->passed ? 4 : 0);
		uint64_t value = i == 16 ? pc : 0x1000 * i + call->thread;
		for (unsigned byte = 0; byte < 8; byte++)
			sprintf(text + 16 * i + 2 * byte, "%02x",
				(unsigned)(value >> 8 * byte & 0xff));
	}
	answer(stub, text);
}

static void serve_register(struct gdb_stub *stub, const char *text)
{
	unsigned number = (unsigned)strtoul(text + 1, NULL, 16) - stub->first_apart;
	const char *value = number < stub->n_apart ? stub->apart[number] : NULL;

	stub->n_apart_asked++;
	answer(stub, value ? value : "E14");
}

static void serve_v(struct gdb_stub *stub, const uint8_t *data)
{
	const char *text = (const char *)data;

	if (begins(data, "vCont;c") && stub->nonstop) {
		stub->running = 1;
		answer(stub, "OK");
	} else if (begins(data, "vCont?") && (stub->calls || stub->stops) && !stub->no_steps) {
		answer(stub, "vCont;c;C;s;S");
	} else if (begins(data, "vCont;s:") && (stub->calls || stub->stops)) {
		step_machine(stub, text);
	} else {
		serve_file(stub, text);
	}
}

static void serve(struct gdb_stub *stub, const uint8_t *data, size_t len)
{
	stub->of_memory = data[0] == 'm' || data[0] == 'x';
	switch (data[0]) {
	case 'm':
	case 'M':
		serve_memory(stub, data, len);
		break;
	case 'x':
	case 'X':
		if (data[0] == 'x' ? stub->binary_read : stub->binary_write)
			serve_memory(stub, data, len);
		else
			answer(stub, "");
		break;
	case 'q':
		serve_queries(stub, data);
		break;
	case 'Q':
		serve_settings(stub, data);
		break;
	case 'v':
		serve_v(stub, data);
		break;
	case 'Z':
	case 'z':
		serve_breakpoint(stub, (const char *)data);
		break;
	case '?':
		answer(stub, "T05thread:1;");
		break;
	case 'H':
		answer(stub, stub->choose ? stub->choose : "OK");
		break;
	case 'g':
		if (stub->calls)
			serve_machine_registers(stub);
		else
			answer(stub, stub->registers ? stub->registers : "E01");
		break;
	case 'p':
		serve_register(stub, (const char *)data);
		break;
	case 'c':
		run_machine(stub);
		break;
	case 'D':
		answer(stub, stub->detach ? stub->detach : "OK");
		stub->detached = 1;
		stub->running |= !stub->detach;
		break;
	default:
		answer(stub, "");
	}
}

/* ---- receiving ---------------------------------------------------------------------------------------- */

/* One packet of bytes[0..n) apart; returns the bytes it took, 0 where it is not whole. */
static size_t take_packet(struct gdb_stub *stub, uint8_t *bytes, size_t n)
{
	uint8_t *hash = memchr(bytes, '#', n), sum = 0;
	unsigned given = 0;
	size_t len = 0;

	if (!hash || (size_t)(bytes + n - hash) < 3)
		return 0;
	sscanf((const char *)hash + 1, "%2x", &given);
	for (uint8_t *at = bytes + 1; at < hash; at++) {
		sum = (uint8_t)(sum + *at);
		if (*at == '}' && at + 1 < hash) {
			sum = (uint8_t)(sum + at[1]);
			bytes[1 + len++] = *++at ^ 0x20;
		} else {
			bytes[1 + len++] = *at;
		}
	}
	bytes[1 + len] = '\0';
	size_t taken = (size_t)(hash + 3 - bytes);
	int refused = stub->fault == STUB_REFUSES_CHECKSUM && is_faulty(stub) && bytes[1] == 'm';
	stub->n_bad += sum != given;
	if (sum != given || refused) {
		stub->n_memory += refused;
		send_text(stub, "-");
		return taken;
	}
	if (stub->acks)
		send_text(stub, "+");
	serve(stub, bytes + 1, len);
	return taken;
}

/* All that is whole of bytes[0..n); returns how much was taken. */
static size_t take(struct gdb_stub *stub, uint8_t *bytes, size_t n)
{
	size_t at = 0, taken = 1;
	unsigned together = 0;

	while (at < n && taken) {
		taken = 1;
		if (stub->running && !stub->qemu && bytes[at] == '+') {
			/* of the answer to D */
		} else if (stub->running &&
			   !stub->nonstop) { /* as QEMU: any byte stops it, and is gone */
			if (stub->detached || bytes[at] != 3)
				stub->n_unsound++;
			stub->running = 0;
			stub->n_interrupted++;
			answer(stub, "T02thread:01;");
		} else if (bytes[at] == '$') {
			taken = take_packet(stub, bytes + at, n - at);
			together += taken != 0;
		} else if (bytes[at] == '-') {
			send_last(stub);
			stub->n_memory += stub->of_memory;
		}
		at += taken;
	}
	stub->most_together = together > stub->most_together ? together : stub->most_together;
	return at;
}

static void serve_client(struct gdb_stub *stub)
{
	static __thread uint8_t bytes[1 << 17];
	size_t n = 0;
	ssize_t got;

	stub->acks = 1;
	stub->running = stub->detached = 0;
	if (stub->greeting)
		send_text(stub, stub->greeting);
	while ((got = recv(stub->client, bytes + n, sizeof(bytes) - 1 - n, 0)) > 0) {
		n += (size_t)got;
		if (stub->mute)
			n = 0;
		size_t taken = take(stub, bytes, n);
		memmove(bytes, bytes + taken, n - taken);
		n -= taken;
	}
}

static void *stub_main(void *arg)
{
	struct gdb_stub *stub = arg;

	for (;;) {
		int client = accept(stub->listener, NULL, NULL);
		if (client < 0)
			return NULL;
		stub->client = client;
		serve_client(stub);
		close(client);
	}
}

int gdb_stub_start(struct gdb_stub *stub)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	static unsigned n;

	for (size_t i = 0; i < STUB_SIZE; i++)
		stub->memory[i] = (uint8_t)(i / 16);
	snprintf(stub->path, sizeof(stub->path), "/tmp/sonde-test-stub-%d-%u", (int)getpid(), n++);
	snprintf(stub->target, sizeof(stub->target), "gdb:unix:%s", stub->path);
	strcpy(address.sun_path, stub->path);
	unlink(stub->path);
	stub->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (stub->listener < 0 ||
	    bind(stub->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(stub->listener, 4) < 0)
		return -1;
	return pthread_create(&stub->thread, NULL, stub_main, stub) ? -1 : 0;
}

void gdb_stub_stop(struct gdb_stub *stub)
{
	shutdown(stub->listener, SHUT_RDWR);
	pthread_join(stub->thread, NULL);
	close(stub->listener);
	unlink(stub->path);
}
