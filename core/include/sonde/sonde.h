/* SPDX-License-Identifier: MIT */
#ifndef SONDE_H
#define SONDE_H

#include <sonde/batch.h>
#include <sonde/channel.h>
#include <sonde/cursor.h>
#include <sonde/cursor_file.h>
#include <sonde/dir.h>
#include <sonde/error.h>
#include <sonde/events.h>
#include <sonde/fd.h>
#include <sonde/fields.h>
#include <sonde/file.h>
#include <sonde/fragments.h>
#include <sonde/fs.h>
#include <sonde/fs_remote.h>
#include <sonde/io.h>
#include <sonde/loop.h>
#include <sonde/net.h>
#include <sonde/os.h>
#include <sonde/scan.h>
#include <sonde/select.h>
#include <sonde/space.h>
#include <sonde/sym.h>
#include <sonde/target.h>
#include <sonde/task.h>
#include <sonde/types.h>
#include <sonde/write.h>

#endif
