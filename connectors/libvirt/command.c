/* SPDX-License-Identifier: MIT */
/* virDomainQemuMonitorCommand takes a QMP command as text and hands QEMU's whole answer back. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

static int refused(struct command *command, const char *name, json_t *answer,
		   struct sonde_error *err)
{
	json_t *error = json_object_get(answer, "error");
	const char *text = json_string_value(json_object_get(error, "desc"));

	return command->hv->host->error_set(
		err, SONDE_E_UNSUPPORTED, "libvirt: %s: QEMU refused '%s': %.200s",
		command->hv->uri, name, text ? text : "no reason given");
}

static int take_answer(struct command *command, const char *name, const char *text, json_t **ret,
		       struct sonde_error *err)
{
	json_error_t why;
	json_t *answer = json_loads(text, 0, &why);
	json_t *value = json_object_get(answer, "return");
	int r = 0;

	if (!answer)
		r = command->hv->host->error_set(err, SONDE_E_BAD_FORMAT,
						 "libvirt: %s: the answer to '%s' is no JSON",
						 command->hv->uri, name);
	else if (!value)
		r = refused(command, name, answer, err);
	else if (ret)
		*ret = json_incref(value);
	json_decref(answer);
	return r;
}

/* request is taken. */
static int run(struct command *command, const char *name, json_t *request, json_t **ret,
	       struct sonde_error *err)
{
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL, *answer = NULL;

	json_decref(request);
	if (!text)
		return command->hv->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = command->hv->api.virDomainQemuMonitorCommand(command->dom, text, &answer, 0);
	free(text);
	if (r < 0)
		return hypervisor_failed(command->hv, "monitor command", err);
	r = take_answer(command, name, answer, ret, err);
	free(answer);
	return r;
}

static int ask(void *at, const char *name, json_t **ret, struct sonde_error *err)
{
	return run(at, name, json_pack("{s:s}", "execute", name), ret, err);
}

static int line(void *at, const char *text, uint32_t cpu, char **ret, struct sonde_error *err)
{
	static const char name[] = "human-monitor-command";
	struct command *command = at;
	json_t *answer = NULL;
	int r = run(command, name,
		    json_pack("{s:s, s:{s:s, s:I}}", "execute", name, "arguments", "command-line",
			      text, "cpu-index", (json_int_t)cpu),
		    &answer, err);

	if (r < 0)
		return r;
	const char *said = json_string_value(answer);
	*ret = strdup(said ? said : "");
	json_decref(answer);
	return *ret ? 0 : command->hv->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
}

struct monitor command_monitor(struct command *command)
{
	return (struct monitor){ .line = line, .ask = ask, .at = command };
}
