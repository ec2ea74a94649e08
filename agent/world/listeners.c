#include "agent/world/listeners.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define LISTEN 10 /* of the kernel's states of TCP */

static void
close_dirp(DIR **dir)
{
	if (*dir) (void)closedir(*dir);
}

#define _cleanup_dir_ _cleanup_(close_dirp)

/* address: 4 bytes or 16, as on the wire. An IPv4 address in IPv6's clothes ends with it. */
static bool
address_fits(const void *address, size_t size, const char *host)
{
	static const uint8_t any[16];
	const uint8_t *bytes = address;
	uint8_t want[4];

	if (memcmp(bytes, any, size) == 0) return true;
	if (inet_pton(AF_INET, host, want) != 1) return true;
	if (memcmp(want, any, sizeof(want)) == 0) return true;
	return memcmp(bytes + size - sizeof(want), want, sizeof(want)) == 0;
}

static void
add_inode(struct ag_inodes *list, unsigned long inode)
{
	if (list->count < AG_INODES_MAX) list->inodes[list->count++] = inode;
}

static bool
has_inode(const struct ag_inodes *list, unsigned long inode)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->inodes[i] == inode) return true;
	return false;
}

/* ---- from the kernel's own table of listeners: a moment, however many connections there are ---- */

struct place {
	const char *host;
	unsigned port;
	int family;
	size_t size; /* of an address */
};

static void
take_socket(const struct inet_diag_msg *msg, const struct place *place, struct ag_inodes *ret)
{
	if (msg->idiag_state == LISTEN && ntohs(msg->id.idiag_sport) == place->port &&
	    address_fits(msg->id.idiag_src, place->size, place->host))
		add_inode(ret, msg->idiag_inode);
}

/* 1: there is more. 0: that was all. -1: the kernel does not say. */
static int
take_answer(int fd, const struct place *place, struct ag_inodes *ret)
{
	_Alignas(struct nlmsghdr) char buffer[16384];
	ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
	const struct nlmsghdr *at = (const struct nlmsghdr *)(const void *)buffer;

	if (got <= 0) return -1;
	for (size_t left = (size_t)got; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
		if (at->nlmsg_type == NLMSG_DONE) return 0;
		if (at->nlmsg_type == NLMSG_ERROR ||
		    at->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			return -1;
		take_socket(NLMSG_DATA(at), place, ret);
	}
	return 1;
}

static bool
ask_kernel(const struct place *place, struct ag_inodes *ret)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} ask = {
		.head = { .nlmsg_len = sizeof(ask),
			  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.body = { .sdiag_family = (uint8_t)place->family,
			  .sdiag_protocol = IPPROTO_TCP,
			  .idiag_states = 1U << LISTEN },
	};
	int r = 1;

	if (fd < 0 || send(fd, &ask, sizeof(ask), 0) != sizeof(ask)) return false;
	while (r > 0) r = take_answer(fd, place, ret);
	return r == 0;
}

/* ---- or from /proc, where the kernel has no such table for us ---- */

static void
read_table(const char *table, const struct place *place, struct ag_inodes *ret)
{
	_cleanup_fclose_ FILE *file = fopen(table, "re");
	char row[512], hex[40];
	unsigned found, state;
	unsigned long inode;
	uint32_t words[4];

	while (file && fgets(row, sizeof(row), file)) {
		if (sscanf(row, " %*d: %39[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*d %*d %lu",
			   hex, &found, &state, &inode) != 4)
			continue;
		if (state != LISTEN || found != place->port) continue;
		/* Words of this machine, each as a number. */
		for (size_t i = 0; i < place->size / 4; i++)
			if (sscanf(hex + 8 * i, "%8" SCNx32, &words[i]) != 1) return;
		if (address_fits(words, place->size, place->host)) add_inode(ret, inode);
	}
}

static void
find_listeners(const char *host, unsigned port, struct ag_inodes *ret)
{
	const struct place v4 = { host, port, AF_INET, 4 }, v6 = { host, port, AF_INET6, 16 };

	ret->count = 0;
	if (!ask_kernel(&v4, ret)) read_table("/proc/net/tcp", &v4, ret);
	if (!ask_kernel(&v6, ret)) read_table("/proc/net/tcp6", &v6, ret);
}

/* ---- whose are they? ---- */

/* Does one of the listening sockets belong to this process? Those that do are crossed out. */
static bool
holds_listener(pid_t pid, struct ag_inodes *inodes)
{
	char path[64], target[64];
	_cleanup_dir_ DIR *dir = NULL;
	const struct dirent *entry;
	bool holds = false;

	(void)FM_FORMAT(path, "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		unsigned long inode;

		target[len > 0 ? len : 0] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) != 1) continue;
		for (unsigned i = 0; i < inodes->count; i++) {
			if (inodes->inodes[i] != inode) continue;
			inodes->inodes[i] = inodes->inodes[--inodes->count];
			holds = true;
		}
	}
	return holds;
}

static bool
name_holder(struct ag_inodes *inodes, char *who, size_t size)
{
	_cleanup_dir_ DIR *dir = opendir("/proc");
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0])
				    ? (pid_t)strtol(entry->d_name, NULL, 10)
				    : 0;

		if (pid <= 0 || !holds_listener(pid, inodes)) continue;
		(void)ag_procs_describe(pid, who, size);
		return true;
	}
	(void)fm_format(who, size, "a process that cannot be seen from here");
	return false;
}

/* What ours hold is noted; what is left is somebody else's, or of one that ended this moment. */
static bool
is_of_the_dying(const struct ag_inodes *all, const struct ag_inodes *left, struct ag_inodes *held)
{
	bool known = left->count > 0;

	for (unsigned i = 0; i < left->count; i++)
		known = known && has_inode(held, left->inodes[i]);
	held->count = 0;
	for (unsigned i = 0; i < all->count; i++)
		if (!has_inode(left, all->inodes[i])) add_inode(held, all->inodes[i]);
	return known;
}

enum ag_listener
ag_foreign_listener(const char *host, unsigned port, const struct ag_pids *ours,
		    struct ag_inodes *held, char *who, size_t size)
{
	struct ag_inodes all, left;
	bool is_seen;

	who[0] = '\0';
	find_listeners(host, port, &all);
	left = all;
	for (unsigned i = 0; i < ours->count && left.count > 0; i++)
		(void)holds_listener(ours->pids[i], &left);
	if (is_of_the_dying(&all, &left, held)) {
		(void)fm_format(who, size, "a process that ends");
		return AG_LISTENER_UNSEEN;
	}
	if (left.count == 0) return AG_LISTENER_NONE;
	is_seen = name_holder(&left, who, size);
	(void)fm_append(who, size, " listens on %s:%u and is not this agent's", host, port);
	return is_seen ? AG_LISTENER_SEEN : AG_LISTENER_UNSEEN;
}
