/* A bus of dbus-broker alone, which waits for a controller to give it a socket and a policy: systemd's launcher as a rule, here the least
 * there can be. Compiled by the bench against libdbus-1 itself, whose headers few machines have: the few lines of them are below (dbus/dbus.h,
 * 1.14). argv: the path of the bus's socket. What it sends is described in src/broker/controller.c and src/launch/policy.c of dbus-broker 33. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct DBusConnection DBusConnection;
typedef struct DBusMessage DBusMessage;
/* Larger than libdbus's own, of which nobody outside may know more than that. */
typedef union { void *align; char room[256]; } Iter;
DBusConnection *dbus_connection_open_private(const char *, void *);
DBusMessage *dbus_connection_send_with_reply_and_block(DBusConnection *, DBusMessage *, int, void *);
uint32_t dbus_connection_read_write(DBusConnection *, int);
uint32_t dbus_connection_get_is_authenticated(DBusConnection *);
DBusMessage *dbus_message_new_method_call(const char *, const char *, const char *, const char *);
void dbus_message_iter_init_append(DBusMessage *, Iter *);
uint32_t dbus_message_iter_append_basic(Iter *, int, const void *);
uint32_t dbus_message_iter_open_container(Iter *, int, const char *, Iter *);
uint32_t dbus_message_iter_close_container(Iter *, Iter *);

/* May connect; may own; may send; may receive. */
#define BATCH "bta(btbs)a(btssssuutt)a(btssssuutt)"
#define OF_USERS "(u(" BATCH "))"
#define OF_RANGES "(buu(" BATCH "))"
#define POLICY "(a" OF_USERS "a" OF_RANGES "a(ss)bs)"
enum { PATIENCE_MS = 10000, BACKLOG = 16 };

static void die(const char *what) {
  fprintf(stderr, "dbus-broker-bus: %s\n", what);
  exit(1);
}

static void text(Iter *in, int type, const char *value) { dbus_message_iter_append_basic(in, type, &value); }
static void number(Iter *in, uint32_t value) { dbus_message_iter_append_basic(in, 'u', &value); }
static void large(Iter *in, uint64_t value) { dbus_message_iter_append_basic(in, 't', &value); }
static void truth(Iter *in, uint32_t value) { dbus_message_iter_append_basic(in, 'b', &value); }
static void yes(Iter *in) {
  truth(in, 1);
  large(in, 1);
}

static void nobody(Iter *in, const char *element) {
  Iter array;
  dbus_message_iter_open_container(in, 'a', element, &array);
  dbus_message_iter_close_container(in, &array);
}

/* An array of one structure, which `fill` writes. */
static void one(Iter *in, const char *element, void (*fill)(Iter *)) {
  Iter array, structure;
  dbus_message_iter_open_container(in, 'a', element, &array);
  dbus_message_iter_open_container(&array, 'r', NULL, &structure);
  fill(&structure);
  dbus_message_iter_close_container(&array, &structure);
  dbus_message_iter_close_container(in, &array);
}

/* To and from everybody, whatever it is, with any number of descriptors. */
static void any_message(Iter *in) {
  yes(in);
  for (int i = 0; i < 4; i++) text(in, 's', "");
  number(in, 0);
  number(in, 0);
  large(in, 0);
  large(in, UINT64_MAX);
}

static void any_name(Iter *in) {
  yes(in);
  truth(in, 1);
  text(in, 's', "");
}

static void any_user(Iter *in) {
  Iter batch;
  number(in, UINT32_MAX);
  dbus_message_iter_open_container(in, 'r', NULL, &batch);
  yes(&batch);
  one(&batch, "(btbs)", any_name);
  one(&batch, "(btssssuutt)", any_message);
  one(&batch, "(btssssuutt)", any_message);
  dbus_message_iter_close_container(in, &batch);
}

static int listening(const char *path) {
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof at.sun_path) die("the path of the socket is too long");
  strcpy(at.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0) die("no socket");
  return fd;
}

static DBusMessage *listener(int fd) {
  DBusMessage *message =
      dbus_message_new_method_call(NULL, "/org/bus1/DBus/Broker", "org.bus1.DBus.Broker", "AddListener");
  Iter body, variant, policy;
  dbus_message_iter_init_append(message, &body);
  text(&body, 'o', "/org/bus1/DBus/Listener/0");
  dbus_message_iter_append_basic(&body, 'h', &fd);
  dbus_message_iter_open_container(&body, 'v', POLICY, &variant);
  dbus_message_iter_open_container(&variant, 'r', NULL, &policy);
  one(&policy, OF_USERS, any_user);
  nobody(&policy, OF_RANGES);
  nobody(&policy, "(ss)");
  truth(&policy, 0);
  text(&policy, 's', "session");
  dbus_message_iter_close_container(&variant, &policy);
  dbus_message_iter_close_container(&body, &variant);
  return message;
}

int main(int count, char **words) {
  if (count != 2) die("usage: SOCKET");
  /* libdbus starts it, with its end of the connection as standard input and output. */
  DBusConnection *broker = dbus_connection_open_private(
      "unixexec:path=dbus-broker,argv1=--controller,argv2=0,argv3=--machine-id,argv4=00000000000000000000000000000001,"
      "argv5=--max-bytes,argv6=536870912,argv7=--max-fds,argv8=4096,argv9=--max-matches,argv10=16384,"
      "argv11=--max-objects,argv12=1048576",
      NULL);
  if (broker == NULL) die("no dbus-broker");
  /* Before that, nobody has said yet that descriptors may be passed. */
  while (!dbus_connection_get_is_authenticated(broker))
    if (!dbus_connection_read_write(broker, -1)) die("dbus-broker does not start");
  DBusMessage *reply = dbus_connection_send_with_reply_and_block(broker, listener(listening(words[1])), PATIENCE_MS, NULL);
  if (reply == NULL) die("dbus-broker takes no socket");
  puts("{}");
  fflush(stdout);
  while (dbus_connection_read_write(broker, -1)) continue;
  return 0;
}
