/*
** dnnl.c -- finds oneDNN, or says why not.
** Invariant: a file that is no library, another library, another version, or one that starts threads in ways neap
** cannot stop is refused with the reason, and nothing of it is called but dnnl_version.  What was opened stays mapped:
** its code may be on some thread's list of what to do at its end.
*/
#include "dnnl.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USUAL "libdnnl.so.2"
enum { MAJOR = 2, SEQUENTIAL = 1, OPENMP = 2 };        /* how it was built */

static bool refuse (neap_dnnl *d, const char *why, const char *what) {
  snprintf(d->about, sizeof d->about, "refused: %s%s", why, what);
  return false;
}

static bool find_functions (neap_dnnl *d, void *library) {
#define FIND(T, name, args) \
  *(void **)&d->name = dlsym(library, "dnnl_" #name); \
  if (!d->name) return refuse(d, "without dnnl_", #name);
  DNNL_FUNCTIONS(FIND)
#undef FIND
  return true;
}

/* OpenMP's functions are those of the library it was linked with */
static bool find_threads (neap_dnnl *d, void *library, unsigned runtime) {
  if (runtime == SEQUENTIAL) return true;
  *(void **)&d->omp_get = dlsym(library, "omp_get_max_threads");
  *(void **)&d->omp_set = dlsym(library, "omp_set_num_threads");
  if (runtime == OPENMP && d->omp_get && d->omp_set) return true;
  return refuse(d, "its threads are not OpenMP's", "");
}

static bool good_version (neap_dnnl *d, const dnnl_version *v) {
  char text[40];
  snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
  if (v->major != MAJOR) return refuse(d, "version 2 expected, got ", text);
  memcpy(d->about, text, sizeof text);
  return true;
}

static bool start (neap_dnnl *d) {
  int token = neap_dnnl_enter(d);
  bool ok = d->engine_create(&d->engine, DNNL_CPU, 0) == DNNL_OK && d->primitive_attr_create(&d->attr) == DNNL_OK &&
            d->primitive_attr_set_scratchpad_mode(d->attr, DNNL_USER_SCRATCHPAD) == DNNL_OK;
  neap_dnnl_leave(d, token);
  return ok || refuse(d, "it has no engine for this processor", "");
}

static bool find (neap_dnnl *d, const char *file) {
  void *library = dlopen(file ? file : USUAL, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  const char *why = library ? NULL : dlerror();
  if (!library && file) return refuse(d, why ? why : file, "");
  if (!library) { strcpy(d->about, "absent"); return false; }
  const dnnl_version *(*version) (void);
  *(void **)&version = dlsym(library, "dnnl_version");
  const dnnl_version *v = version ? version() : NULL;
  if (!v) refuse(d, "without dnnl_version: ", file ? file : USUAL);
  bool ok = v && good_version(d, v) && find_threads(d, library, v->cpu_runtime) && find_functions(d, library);
  ok = ok && start(d);
  dlclose(library);
  return ok;
}

neap_dnnl *neap_dnnl_load (neap_context *c, const char *file) {
  neap_dnnl *d = neap_calloc(c, sizeof *d);
  if (!d) return NULL;
  d->refs = 1;
  d->c = c;
  if (file && strcmp(file, "off") == 0) strcpy(d->about, "off");
  else d->usable = find(d, file && *file ? file : NULL);
  return c->dnnl = d;
}

neap_dnnl *neap_dnnl_of (neap_context *c) {
  return c->dnnl ? c->dnnl : neap_dnnl_load(c, secure_getenv("NEAP_ONEDNN"));
}

void neap_dnnl_release (neap_dnnl *d) {
  if (!d || --d->refs) return;
  if (d->attr) d->primitive_attr_destroy(d->attr);
  if (d->engine) d->engine_destroy(d->engine);
  neap_free(d->c, d, sizeof *d);
}
