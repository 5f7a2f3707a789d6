/*
** state.c -- named tensors and a random stream: what chains carry, losses remember and report.
** Invariant: each entry holds one reference to a tensor that no tape knows.
*/
#include "sampler/sampler.h"
#include <string.h>

neap_state *neap_state_new (neap_context *c, neap_rng *rng) {
  neap_state *s = neap_object_new(c, sizeof *s);
  if (!s) return NULL;
  s->ctx = c;
  s->rng = neap_rng_keep(rng ? rng : neap_rng_default(c));
  return s;
}

void neap_state_free (neap_state *s) {
  if (!s) return;
  for (int i = 0; i < s->count; i++) neap_release(s->entries[i].t);
  neap_rng_release(s->rng);
  neap_object_free(s->ctx, s, sizeof *s);
}

int neap_state_count (const neap_state *s) { return s->count; }
const char *neap_state_name (const neap_state *s, int i) { return s->entries[i].name; }
neap_rng *neap_state_rng (const neap_state *s) { return s->rng; }

static int find (const neap_state *s, const char *name) {
  for (int i = 0; i < s->count; i++)
    if (strcmp(s->entries[i].name, name) == 0) return i;
  return -1;
}

neap_tensor *neap_state_get (const neap_state *s, const char *name) {
  int i = find(s, name);
  return i < 0 ? NULL : s->entries[i].t;
}

static int add_entry (neap_context *c, neap_state *s, const char *name) {
  if (s->count == NEAP_STATE_MAX || strlen(name) >= NEAP_STATE_NAME) {
    neap_fail(c, NEAP_EARG, "state: at most %d tensors with names under %d characters expected, got '%s' as number %d",
              NEAP_STATE_MAX, NEAP_STATE_NAME, name, s->count + 1);
    return -1;
  }
  strcpy(s->entries[s->count].name, name);
  return s->count++;
}

bool neap_state_set (neap_context *c, neap_state *s, const char *name, neap_tensor *t) {
  if (!neap_ok(c)) return false;
  if (!t) return neap_fail(c, NEAP_EARG, "state: '%s' has no tensor", name);
  int i = find(s, name);
  if (i < 0 && (i = add_entry(c, s, name)) < 0) return false;
  neap_tensor *old = s->entries[i].t;
  s->entries[i].t = neap_keep(t);
  neap_release(old);
  return true;
}

void state_drop (neap_state *s, const char *name) {
  int i = find(s, name);
  if (i < 0) return;
  neap_release(s->entries[i].t);
  s->entries[i] = s->entries[--s->count];
  s->entries[s->count].t = NULL;             /* as add_entry finds it */
}

bool state_is_made_anew (const char *name) {
  static const char *const names[] = { "x", "condition", "energy", "grad", "energy_before", NULL };
  for (const char *const *n = names; *n; n++) if (strcmp(*n, name) == 0) return true;
  return false;
}
