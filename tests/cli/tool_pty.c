/*
** tool_pty.c -- runs a program on a terminal of its own and talks to it as a person would.
** usage: tool_pty program args...  < script
** Script lines: "send TEXT" (and Enter), "key N" (one byte), "expect TEXT".  What an expect has passed over is not seen
** again.  Prints what the program wrote, then "exit N" or "signal N"; fails, naming the line, when something expected
** does not come within PATIENCE, which a busy machine does not use up.
*/
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 1 << 16, PATIENCE = 60 };     /* bytes, seconds */
static char seen[SIZE];                    /* not yet passed over */
static size_t count;
static int terminal;

static double now (void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Reads for at most the given seconds; false when nothing came or the program has closed the terminal. */
static int take (double seconds) {
  struct pollfd p = { .fd = terminal, .events = POLLIN };
  if (seconds <= 0 || poll(&p, 1, (int)(seconds * 1000) + 1) <= 0) return 0;
  if (count > SIZE - 4096) count = 0;
  ssize_t n = read(terminal, seen + count, SIZE - 1 - count);
  if (n <= 0) return 0;
  fwrite(seen + count, 1, (size_t)n, stdout);
  fflush(stdout);
  count += (size_t)n;
  seen[count] = '\0';
  return 1;
}

static int expect (const char *text, double until) {
  for (;;) {
    seen[count] = '\0';
    char *at = strstr(seen, text);
    if (at) {
      size_t passed = (size_t)(at - seen) + strlen(text);
      memmove(seen, seen + passed, count -= passed);
      return 1;
    }
    if (now() >= until || (!take(until - now()) && now() < until - .01)) return 0;
  }
}

static int put (const char *bytes, size_t n) { return write(terminal, bytes, n) == (ssize_t)n; }

static int obey (char *line) {
  char *rest = strchr(line, ' ');
  if (!rest) return 0;
  rest++;
  if (strncmp(line, "send ", 5) == 0) return put(strcat(rest, "\n"), strlen(rest) + 1);
  if (strncmp(line, "key ", 4) == 0) return put((char[]){ (char)atoi(rest) }, 1);
  if (strncmp(line, "expect ", 7) == 0) return expect(rest, now() + PATIENCE);
  return 0;
}

static int leave (pid_t child) {
  int status;
  pid_t ended;
  double until = now() + PATIENCE;
  while (now() < until && take(until - now())) continue;
  while ((ended = waitpid(child, &status, WNOHANG)) == 0 && now() < until) usleep(10 * 1000);
  if (ended == 0) {
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
  }
  if (WIFSIGNALED(status)) printf("\nsignal %d\n", WTERMSIG(status));
  else printf("\nexit %d\n", WEXITSTATUS(status));
  return 0;
}

int main (int argc, char **argv) {
  char line[4096];
  struct winsize size = { .ws_row = 24, .ws_col = 200 };
  pid_t child = argc < 2 ? -1 : forkpty(&terminal, NULL, NULL, &size);
  if (child < 0) return 2;
  if (child == 0) {
    setenv("TERM", "dumb", 1);
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  while (fgets(line, sizeof line - 1, stdin)) {
    line[strcspn(line, "\n")] = '\0';
    if (obey(line)) continue;
    printf("\nfailed: %s\n", line);
    kill(child, SIGKILL);
    return 1;
  }
  return leave(child);
}
