/* The two ends of a D-Bus round trip, compiled by the bench against libdbus-1 itself: its headers, which few machines have, are the few
 * lines below (dbus/dbus.h, 1.14). argv: `answer` or `ask`, then the address of a bus. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct DBusConnection DBusConnection;
typedef struct DBusMessage DBusMessage;
typedef struct DBusPendingCall DBusPendingCall;
DBusConnection *dbus_connection_open_private(const char *, void *);
uint32_t dbus_bus_register(DBusConnection *, void *);
int dbus_bus_request_name(DBusConnection *, const char *, unsigned, void *);
int dbus_connection_dispatch(DBusConnection *);
uint32_t dbus_connection_read_write(DBusConnection *, int);
DBusMessage *dbus_connection_pop_message(DBusConnection *);
uint32_t dbus_connection_send(DBusConnection *, DBusMessage *, uint32_t *);
uint32_t dbus_connection_send_with_reply(DBusConnection *, DBusMessage *, DBusPendingCall **, int);
DBusMessage *dbus_connection_send_with_reply_and_block(DBusConnection *, DBusMessage *, int, void *);
void dbus_connection_flush(DBusConnection *);
DBusMessage *dbus_message_new_method_call(const char *, const char *, const char *, const char *);
DBusMessage *dbus_message_new_method_return(DBusMessage *);
uint32_t dbus_message_append_args(DBusMessage *, int, ...);
uint32_t dbus_message_get_args(DBusMessage *, void *, int, ...);
int dbus_message_get_type(DBusMessage *);
void dbus_message_unref(DBusMessage *);
uint32_t dbus_pending_call_set_notify(DBusPendingCall *, void (*)(DBusPendingCall *, void *), void *, void *);
DBusMessage *dbus_pending_call_steal_reply(DBusPendingCall *);
void dbus_pending_call_unref(DBusPendingCall *);

enum { DATA_REMAINS = 0, CALL = 1, RETURN = 2, STRING = 's', END = 0, SEQUENTIAL = 2000, PARALLEL = 20000, IN_FLIGHT = 64, PATIENCE_MS = 10000 };
static const char *NAME = "berth.bench";
static const char *TEXT =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

static void die(const char *what) {
  fprintf(stderr, "dbus-peer: %s\n", what);
  exit(1);
}

static double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static DBusConnection *joined(const char *address) {
  DBusConnection *bus = dbus_connection_open_private(address, NULL);
  if (bus == NULL || !dbus_bus_register(bus, NULL)) die("no bus");
  return bus;
}

static void answer(const char *address) {
  DBusConnection *bus = joined(address);
  if (dbus_bus_request_name(bus, NAME, 0, NULL) < 0) die("no name");
  puts("{}");
  fflush(stdout);
  while (dbus_connection_read_write(bus, -1)) {
    DBusMessage *message;
    while ((message = dbus_connection_pop_message(bus)) != NULL) {
      const char *text = NULL;
      if (dbus_message_get_type(message) == CALL && dbus_message_get_args(message, NULL, STRING, &text, END)) {
        DBusMessage *reply = dbus_message_new_method_return(message);
        dbus_message_append_args(reply, STRING, &text, END);
        dbus_connection_send(bus, reply, NULL);
        dbus_message_unref(reply);
      }
      dbus_message_unref(message);
    }
  }
}

static DBusMessage *question(void) {
  DBusMessage *message = dbus_message_new_method_call(NAME, "/", NAME, "Echo");
  dbus_message_append_args(message, STRING, &TEXT, END);
  return message;
}

static void ask_once(DBusConnection *bus) {
  DBusMessage *message = question();
  DBusMessage *reply = dbus_connection_send_with_reply_and_block(bus, message, PATIENCE_MS, NULL);
  if (reply == NULL) die("no answer");
  dbus_message_unref(reply);
  dbus_message_unref(message);
}

static int sent, answered;

static void send_next(DBusConnection *bus);

static void on_reply(DBusPendingCall *call, void *bus) {
  DBusMessage *reply = dbus_pending_call_steal_reply(call);
  const char *text = NULL;
  if (dbus_message_get_type(reply) != RETURN || !dbus_message_get_args(reply, NULL, STRING, &text, END)) die("no answer");
  dbus_message_unref(reply);
  dbus_pending_call_unref(call);
  answered++;
  send_next(bus);
}

static void send_next(DBusConnection *bus) {
  if (sent == PARALLEL) return;
  sent++;
  DBusMessage *message = question();
  DBusPendingCall *call = NULL;
  if (!dbus_connection_send_with_reply(bus, message, &call, PATIENCE_MS) || call == NULL) die("cannot send");
  dbus_pending_call_set_notify(call, on_reply, bus, NULL);
  dbus_message_unref(message);
}

static int by_size(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return left < right ? -1 : left > right;
}

static void ask(const char *address) {
  static double times[SEQUENTIAL];
  DBusConnection *bus = joined(address);
  for (int i = 0; i < SEQUENTIAL; i++) ask_once(bus);
  for (int i = 0; i < SEQUENTIAL; i++) {
    double start = now_us();
    ask_once(bus);
    times[i] = now_us() - start;
  }
  qsort(times, SEQUENTIAL, sizeof *times, by_size);
  double start = now_us();
  for (int i = 0; i < IN_FLIGHT; i++) send_next(bus);
  while (answered < PARALLEL && dbus_connection_read_write(bus, -1))
    while (dbus_connection_dispatch(bus) == DATA_REMAINS) continue;
  printf("{\"p50Us\":%.1f,\"perSecond\":%.0f}\n", times[SEQUENTIAL / 2], PARALLEL / ((now_us() - start) / 1e6));
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "answer") == 0) answer(words[2]);
  else if (count == 3 && strcmp(words[1], "ask") == 0) ask(words[2]);
  else die("usage: answer|ask ADDRESS");
  return 0;
}
