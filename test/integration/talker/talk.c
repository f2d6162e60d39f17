/* What a container says, as programs say it: talk syslog <tag> <text>; talk send <socket> <text>; talk fd <source> <text>. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

static int failed(const char *what) {
	perror(what);
	return 1;
}

static struct sockaddr_un address_of(const char *path) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	return address;
}

static int send_to(const char *path, const char *text) {
	struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address, sizeof address) < 0) return failed(path);
	return 0;
}

/* As the stock runtime's own clients: four parts, and the descriptor beside them. */
static int hand_over(const char *source, const char *text) {
	int ends[2], level = 2, subscribe = 1;
	char platform[50] = "somebody-else", name[50] = "";
	if (pipe(ends) < 0) return failed("pipe");
	strncpy(name, source, sizeof name - 1);
	struct iovec parts[4] = { { platform, 50 }, { name, 50 }, { &level, sizeof level }, { &subscribe, sizeof subscribe } };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct msghdr message = {
		.msg_iov = parts, .msg_iovlen = 4, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &ends[0], sizeof(int));
	struct sockaddr_un address = address_of("/pantavisor/pv-fd-log");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return failed("connect");
	if (sendmsg(fd, &message, 0) < 0) return failed("sendmsg");
	return write(ends[1], text, strlen(text)) < 0 ? failed("write") : 0;
}

int main(int count, char **words) {
	if (count != 4) return 2;
	if (strcmp(words[1], "send") == 0) return send_to(words[2], words[3]);
	if (strcmp(words[1], "fd") == 0) return hand_over(words[2], words[3]);
	openlog(words[2], LOG_PID, LOG_DAEMON);
	syslog(LOG_ERR, "%s", words[3]);
	closelog();
	return 0;
}
