/* What a container says, as programs say it: talk syslog <tag> <text>; talk send <socket> <text>. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

static int send_to(const char *path, const char *text) {
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address, sizeof address) < 0) {
		perror(path);
		return 1;
	}
	return 0;
}

int main(int count, char **words) {
	if (count != 4) return 2;
	if (strcmp(words[1], "send") == 0) return send_to(words[2], words[3]);
	openlog(words[2], LOG_PID, LOG_DAEMON);
	syslog(LOG_ERR, "%s", words[3]);
	closelog();
	return 0;
}
