/*
** conv_dnn.c -- convolution of float32 images by oneDNN, for the shapes where it measured faster than neap's kernels.
** Invariant: what oneDNN makes for a shape is made once and kept in the context, the CONV_MADE used last; a run only
** sets addresses.  Images are cut into the tasks that neap's kernels have, each task's kernel runs on the task's thread
** alone, and sums over images are added up in the order of tasks; so threads change no bit of the results.
** Images and outputs stay as they lie; filters are packed into oneDNN's order, once a call, or once a run of a program
** that does not change them.
*/
#include "ops/conv.h"
#include "ops/conv_kernel.h"
#include "dnnl.h"
#include <string.h>

enum { LINE = 64,
       WINDOWS_SUMMED = 2048 };            /* by one call of oneDNN: sums of sums are more exact than a long one */

typedef struct task_memory { void *stream, *images, *outputs, *filters, *scratch; } task_memory;

struct conv_made {
  conv_shape s; conv_kind kind; int64_t tasks, pieces; /* what it is for; pieces: calls of oneDNN, some each task */
  const void *filters;                     /* and for these, where they stay the same through a run; else NULL */
  char *kept; uint64_t packed_in;          /* these packed, in this run; or NULL */
  uint64_t used;
  bool usable;                             /* false: oneDNN has no kernel of its own for it */
  void *run[2];                            /* for pieces of n / pieces images, and for those of one more */
  void *pack, *plain, *packed;             /* filters into its order, or sums out of it; NULL: they are in it */
  size_t scratch_bytes, packed_bytes;      /* of a piece; whole lines */
  task_memory each[][2];                   /* of each task, for both sizes of pieces */
};

/* ---- which shapes ---- */

enum { UNIT = 16, FEW_CHANNELS = 3, MANY_CHANNELS = 32, FEW_WINDOWS = 64, ENOUGH = 128, FEW_OUTPUTS = 16 << 10 };

/* Where it measured so, with vectors of so many floats: docs/performance.md.  Neap's own kernels know no groups, and no
** gaps within a line; where filters are packed at each call, there must be windows enough to make up for it. */
static bool is_faster (const conv_shape *s, conv_kind kind, int lanes, bool steady) {
  int64_t windows = s->w.out[0] * s->w.out[1];
  bool units = s->w.c % UNIT == 0, wide = lanes == UNIT;
  if (s->groups > 1 || s->w.dilation[1] > 1) return true;
  if (kind == CONV_INPUT) return units && ((wide && steady) || windows >= (wide ? UNIT : 2 * UNIT));
  if (!wide || s->o % UNIT) return false;
  if (kind == CONV_WEIGHT) return s->w.c <= FEW_CHANNELS && windows * s->o <= FEW_OUTPUTS;
  return units && s->w.c >= MANY_CHANNELS && windows <= FEW_WINDOWS && (steady || s->w.n * windows >= ENOUGH);
}

/* oneDNN counts some places with 32 bits */
static bool is_small (const conv_shape *s) {
  int64_t most = INT32_MAX / (int64_t)sizeof(float), windows = s->w.out[0] * s->w.out[1];
  double images = (double)s->w.n * (double)s->w.size[0] * (double)s->w.size[1] * (double)s->w.c;
  return images < (double)most && (double)s->w.n * (double)windows * (double)s->o < (double)most &&
         (double)s->depth * (double)s->o < (double)most && s->w.padding[0] < s->w.kernel[0] * s->w.dilation[0] &&
         s->w.padding[1] < s->w.kernel[1] * s->w.dilation[1];
}

static bool is_wanted (const neap_call *k, const conv_shape *s, conv_kind kind, bool steady) {
  bool some = s->w.n > 0 && s->depth > 0 && s->o > 0;
  int lanes = conv_kernels_of(k->c)->lanes;
  return some && k->in[0]->dtype == NEAP_FLOAT32 && lanes && is_small(s) && is_faster(s, kind, lanes, steady);
}

neap_dnnl *conv_library (neap_context *c, neap_call *k) {
  conv_shape s;
  if (!conv_of(k, &s) || !is_wanted(k, &s, conv_kind_of(k), k->steady)) return NULL;
  return neap_dnnl_of(c);
}

/* ---- making ---- */

typedef struct maker {
  const neap_dnnl *d;
  conv_made *m;
  dnnl_desc plain, any;                    /* filters as they lie, and as oneDNN likes */
  void *desc[2];                           /* of m->run */
  const dnnl_desc *packed;                 /* what it likes */
  int status;
} maker;

static bool did (maker *k, int status) {
  if (!k->status) k->status = status;
  return k->status == DNNL_OK;
}

/* filters [depth, O] or, backwards, [O, depth], in groups as [groups, O / groups, C / groups, kh, kw] */
static bool describe_filters (maker *k) {
  const conv_shape *s = &k->m->s;
  int64_t kh = s->w.kernel[0], kw = s->w.kernel[1];
  int64_t o = k->m->kind == CONV_INPUT ? s->depth : 1, c = k->m->kind == CONV_INPUT ? 1 : s->o;
  dnnl_dims dims = { s->groups, s->og, s->cg, kh, kw }, strides = { s->og * o, o, c, kw * s->cg * c, s->cg * c };
  int from = s->groups == 1, n = 5 - from;
  return did(k, k->d->memory_desc_init_by_strides(&k->plain, n, dims + from, DNNL_FLOAT32, strides + from)) &&
         did(k, k->d->memory_desc_init_by_tag(&k->any, n, dims + from, DNNL_FLOAT32, DNNL_ANY));
}

/* n images of so many channels, channels last */
static bool describe_images (maker *k, dnnl_desc *d, int64_t n, const int64_t *size, int64_t c) {
  dnnl_dims dims = { n, c, size[0], size[1] }, strides = { size[0] * size[1] * c, 1, size[1] * c, c };
  return did(k, k->d->memory_desc_init_by_strides(d, 4, dims, DNNL_FLOAT32, strides));
}

/* n images convolved, filters as given: k->desc[i] */
static bool describe_run (maker *k, int i, int64_t n, const dnnl_desc *filters) {
  const neap_dnnl *d = k->d;
  const conv_windows *w = &k->m->s.w;
  const int64_t gap[] = { w->dilation[0] - 1, w->dilation[1] - 1 }, *stride = w->stride, *pad = w->padding;
  dnnl_desc x, y;
  dnnl_conv op;
  void *forward = NULL;
  if (!describe_images(k, &x, n, w->size, w->c) || !describe_images(k, &y, n, w->out, k->m->s.o)) return false;
  if (!did(k, d->dilated_convolution_forward_desc_init(&op, DNNL_TRAINING, DNNL_DIRECT, &x, filters, NULL, &y, stride,
                                                        gap, pad, pad))) return false;
  if (!did(k, d->primitive_desc_create(&forward, &op, d->attr, d->engine, NULL))) return false;
  if (k->m->kind == CONV_FORWARD) { k->desc[i] = forward; return true; }
  did(k, k->m->kind == CONV_INPUT
         ? d->dilated_convolution_backward_data_desc_init(&op, DNNL_DIRECT, &x, filters, &y, stride, gap, pad, pad)
         : d->dilated_convolution_backward_weights_desc_init(&op, DNNL_DIRECT, &x, filters, NULL, &y, stride, gap, pad,
                                                             pad));
  if (!k->status) did(k, d->primitive_desc_create(&k->desc[i], &op, d->attr, d->engine, forward));
  d->primitive_desc_destroy(forward);
  return k->status == DNNL_OK;
}

/* Kernels made for the processor; the others are slower than neap's. */
static bool has_kernel (const maker *k, int i) {
  const char *name = NULL;
  if (k->d->primitive_desc_query(k->desc[i], DNNL_ASK_KERNEL, 0, &name) != DNNL_OK || !name) return false;
  return strncmp(name, "jit", 3) == 0 || strncmp(name, "br", 2) == 0;
}

static size_t lines (size_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }
static int64_t piece_start (const conv_made *m, int64_t piece) { return m->s.w.n * piece / m->pieces; }
static int size_of_piece (const conv_made *m, int64_t piece) {         /* which of m->run */
  return piece_start(m, piece + 1) - piece_start(m, piece) > m->s.w.n / m->pieces;
}

static const int ask_images[] = { DNNL_ASK_SRC, DNNL_ASK_DIFF_SRC, DNNL_ASK_SRC };
static const int ask_filters[] = { DNNL_ASK_WEIGHTS, DNNL_ASK_WEIGHTS, DNNL_ASK_DIFF_WEIGHTS };
static const int ask_outputs[] = { DNNL_ASK_DST, DNNL_ASK_DIFF_DST, DNNL_ASK_DIFF_DST };

/* k->m->run[i], and memory for the largest scratchpad */
static bool make_run (maker *k, int i) {
  conv_made *m = k->m;
  if (!describe_run(k, i, m->s.w.n / m->pieces + i, i ? k->packed : &k->any) || !has_kernel(k, i)) return false;
  size_t bytes = lines(k->d->memory_desc_get_size(k->d->primitive_desc_query_md(k->desc[i], DNNL_ASK_SCRATCHPAD, 0)));
  if (bytes > m->scratch_bytes) m->scratch_bytes = bytes;
  if (!i) k->packed = k->d->primitive_desc_query_md(k->desc[0], ask_filters[m->kind], 0);
  return did(k, k->d->primitive_create(&m->run[i], k->desc[i]));
}

static bool make_pack (maker *k) {
  const neap_dnnl *d = k->d;
  conv_made *m = k->m;
  bool out = m->kind == CONV_WEIGHT;
  void *desc = NULL;
  m->packed_bytes = lines(d->memory_desc_get_size(k->packed));
  if (d->memory_desc_equal(k->packed, &k->plain)) return true;
  did(k, d->reorder_primitive_desc_create(&desc, out ? k->packed : &k->plain, d->engine, out ? &k->plain : k->packed,
                                          d->engine, NULL));
  if (desc) did(k, d->primitive_create(&m->pack, desc));
  if (desc) d->primitive_desc_destroy(desc);
  return k->status == DNNL_OK && did(k, d->memory_create(&m->plain, &k->plain, d->engine, NULL)) &&
         did(k, d->memory_create(&m->packed, k->packed, d->engine, NULL));
}

static bool make_memory (maker *k, void **memory, const void *desc, int what) {
  return did(k, k->d->memory_create(memory, k->d->primitive_desc_query_md(desc, what, 0), k->d->engine, NULL));
}

static bool make_task (maker *k, int64_t task, int size) {
  task_memory *t = &k->m->each[task][size];
  const void *desc = k->desc[size];
  conv_kind kind = k->m->kind;
  return did(k, k->d->stream_create(&t->stream, k->d->engine, DNNL_PLAIN_STREAM)) &&
         make_memory(k, &t->images, desc, ask_images[kind]) && make_memory(k, &t->outputs, desc, ask_outputs[kind]) &&
         make_memory(k, &t->filters, desc, ask_filters[kind]) && make_memory(k, &t->scratch, desc, DNNL_ASK_SCRATCHPAD);
}

/* Sets k->m->usable; false: out of memory. */
static bool make_all (maker *k) {
  conv_made *m = k->m;
  int sizes = m->s.w.n % m->pieces ? 2 : 1;
  bool ok = describe_filters(k);
  for (int i = 0; ok && i < sizes; i++) ok = make_run(k, i);
  ok = ok && make_pack(k);
  for (int64_t t = 0; ok && t < m->tasks; t++)
    for (int i = 0; ok && i < sizes; i++) ok = make_task(k, t, i);
  for (int i = 0; i < 2; i++) if (k->desc[i]) k->d->primitive_desc_destroy(k->desc[i]);
  m->usable = ok;
  return ok || k->status != DNNL_NO_MEMORY;
}

/* ---- what is kept ---- */

static size_t made_bytes (int64_t tasks) { return sizeof(conv_made) + 2 * (size_t)tasks * sizeof(task_memory); }

static void drop_made (neap_context *c, conv_made *m) {
  if (!m) return;
  const neap_dnnl *d = c->dnnl;
  for (int64_t i = 0; i < 2 * m->tasks; i++) {
    const task_memory *t = &m->each[i / 2][i % 2];
    void *memory[] = { t->images, t->outputs, t->filters, t->scratch };
    for (int j = 0; j < 4; j++) if (memory[j]) d->memory_destroy(memory[j]);
    if (t->stream) d->stream_destroy(t->stream);
  }
  void *memory[] = { m->plain, m->packed }, *primitive[] = { m->run[0], m->run[1], m->pack };
  for (int j = 0; j < 2; j++) if (memory[j]) d->memory_destroy(memory[j]);
  for (int j = 0; j < 3; j++) if (primitive[j]) d->primitive_destroy(primitive[j]);
  neap_free(c, m->kept, m->packed_bytes + LINE);
  neap_free(c, m, made_bytes(m->tasks));
}

void conv_dnn_close (neap_context *c) {
  for (int i = 0; c->convolutions && i < CONV_MADE; i++) drop_made(c, c->convolutions->made[i]);
  neap_free(c, c->convolutions, sizeof(conv_store));
  neap_dnnl_release(c->dnnl);
  c->convolutions = NULL;
  c->dnnl = NULL;
}

static bool is_for (const conv_made *m, const conv_made *wanted) {
  return m->kind == wanted->kind && m->tasks == wanted->tasks && m->filters == wanted->filters &&
         memcmp(&m->s, &wanted->s, sizeof m->s) == 0;
}

/* How many calls of oneDNN the images are cut into: as many for each task. */
static int64_t count_pieces (const conv_shape *s, conv_kind kind, int64_t tasks) {
  int64_t most = WINDOWS_SUMMED / (s->w.out[0] * s->w.out[1]), each = (s->w.n + tasks - 1) / tasks;
  int64_t some = most > 0 ? (each + most - 1) / most : each;
  return kind != CONV_WEIGHT || s->w.n < tasks * some ? tasks : tasks * some;
}

/* made for that, or where it shall lie: an empty place, or that of the one used longest ago */
static conv_made **find (conv_store *all, const conv_made *wanted) {
  conv_made **oldest = &all->made[0];
  for (int i = 0; i < CONV_MADE; i++) {
    conv_made **m = &all->made[i];
    if (!*m || is_for(*m, wanted)) return m;
    if ((*m)->used < (*oldest)->used) oldest = m;
  }
  return oldest;
}

static conv_made *make (neap_context *c, const conv_made *wanted) {
  conv_made *m = neap_calloc(c, made_bytes(wanted->tasks));
  if (!m) return NULL;
  *m = *wanted;
  m->pieces = count_pieces(&m->s, m->kind, m->tasks);
  maker k = { .d = c->dnnl, .m = m };
  int token = neap_dnnl_enter(c->dnnl);
  bool ok = make_all(&k);
  neap_dnnl_leave(c->dnnl, token);
  if (ok) return m;
  drop_made(c, m);
  return neap_fail(c, NEAP_EMEMORY, "convolve: not enough memory for oneDNN");
}

conv_made *conv_dnn_of (neap_call *k, const conv_shape *s, conv_kind kind, int64_t tasks, const conv_operands *o) {
  neap_context *c = k->c;
  bool steady = k->steady && c->run && o->w == neap_ptr(k->in[1]);
  conv_made wanted = { .s = *s, .kind = kind, .tasks = tasks, .filters = steady ? o->w : NULL };
  if (!is_wanted(k, s, kind, steady) || !neap_dnnl_of(c) || !c->dnnl->usable) return NULL;
  if (!c->convolutions && !(c->convolutions = neap_calloc(c, sizeof(conv_store)))) return NULL;
  conv_made **m = find(c->convolutions, &wanted);
  if (!*m || !is_for(*m, &wanted)) {
    conv_made *fresh = make(c, &wanted);
    if (!fresh) return NULL;
    drop_made(c, *m);
    *m = fresh;
  }
  if (!(*m)->usable) return NULL;
  (*m)->used = ++c->convolutions->runs;
  return *m;
}

/* ---- running ---- */

typedef struct dnn_job {
  const neap_dnnl *d;
  conv_made *m;
  const conv_operands *o;
  char *filters, *scratch;                 /* packed filters, or each task's sums and a piece's; scratch */
  bool alone;
  atomic_int status;
} dnn_job;

static void note (dnn_job *j, int status) { if (status) atomic_store(&j->status, status); }

static void pack (dnn_job *j, void *stream, void *plain) {
  const conv_made *m = j->m;
  bool out = m->kind == CONV_WEIGHT;
  note(j, j->d->memory_set_data_handle(m->plain, plain));
  note(j, j->d->memory_set_data_handle(m->packed, j->filters));
  dnnl_arg args[] = { { DNNL_SRC, out ? m->packed : m->plain }, { DNNL_DST, out ? m->plain : m->packed } };
  note(j, j->d->primitive_execute(m->pack, stream, 2, args));
}

/* operand x or g, from the first image of a piece on; out is the one that is made */
static void *place (const dnn_job *j, const void *given, int64_t piece, const int64_t *size, int64_t c) {
  const char *from = given ? given : j->o->out;
  return (char *)from + piece_start(j->m, piece) * size[0] * size[1] * c * (int64_t)sizeof(float);
}

static void run_piece (dnn_job *j, int64_t task, int64_t piece, char *filters, char *scratch) {
  static const int images[] = { DNNL_SRC, DNNL_DIFF_SRC, DNNL_SRC };
  static const int weights[] = { DNNL_WEIGHTS, DNNL_WEIGHTS, DNNL_DIFF_WEIGHTS };
  static const int outputs[] = { DNNL_DST, DNNL_DIFF_DST, DNNL_DIFF_DST };
  const conv_made *m = j->m;
  const conv_windows *w = &m->s.w;
  int size = size_of_piece(m, piece);
  const task_memory *t = &m->each[task][size];
  note(j, j->d->memory_set_data_handle(t->images, place(j, j->o->x, piece, w->size, w->c)));
  note(j, j->d->memory_set_data_handle(t->outputs, place(j, j->o->g, piece, w->out, m->s.o)));
  note(j, j->d->memory_set_data_handle(t->filters, filters));
  note(j, j->d->memory_set_data_handle(t->scratch, scratch));
  dnnl_arg args[] = { { images[m->kind], t->images }, { weights[m->kind], t->filters },
                      { outputs[m->kind], t->outputs }, { DNNL_SCRATCHPAD, t->scratch } };
  note(j, j->d->primitive_execute(m->run[size], t->stream, 4, args));
}

/* Packed sums; what lies behind their ends is added up with them, and never read. */
static void add (const conv_made *m, char *to, const char *from) {
  float *sum = (float *)to;
  const float *part = (const float *)from;
  for (size_t i = 0; i < m->packed_bytes / sizeof(float); i++) sum[i] += part[i];
}

static char *sums_of (const dnn_job *j, int64_t task) { return j->filters + 2 * (size_t)task * j->m->packed_bytes; }

static void run_task (void *arg, int64_t task) {
  dnn_job *j = arg;
  const conv_made *m = j->m;
  int64_t each = m->pieces / m->tasks, first = task * each;
  int token = neap_dnnl_enter(j->d);
  char *filters = m->kind == CONV_WEIGHT ? sums_of(j, task) : j->filters;
  char *scratch = j->scratch + (j->alone ? 0 : (size_t)task * m->scratch_bytes);
  run_piece(j, task, first, filters, scratch);
  for (int64_t i = 1; i < each; i++) {
    run_piece(j, task, first + i, filters + m->packed_bytes, scratch);
    add(m, filters, filters + m->packed_bytes);
  }
  neap_dnnl_leave(j->d, token);
}

/* all tasks' sums into the first one's, and these to where they belong */
static void finish_sums (dnn_job *j) {
  const conv_made *m = j->m;
  for (int64_t t = 1; t < m->tasks; t++) add(m, j->filters, sums_of(j, t));
  if (m->pack) pack(j, m->each[0][0].stream, j->o->out);
  else memcpy(j->o->out, j->filters, (size_t)(m->s.depth * m->s.o) * sizeof(float));
}

static char *align (char *p) { return (char *)(((uintptr_t)p + LINE - 1) & ~(uintptr_t)(LINE - 1)); }

/* Filters into oneDNN's order, unless they lie so already, or did in this run. */
static void pack_filters (neap_context *c, dnn_job *j) {
  conv_made *m = j->m;
  if (!m->pack) { j->filters = (char *)j->o->w; return; }
  if (m->kept) j->filters = align(m->kept);
  if (!m->kept || m->packed_in != c->run) pack(j, m->each[0][0].stream, (void *)j->o->w);
  m->packed_in = c->run;
}

static void go (neap_context *c, dnn_job *j) {
  bool sums = j->m->kind == CONV_WEIGHT;
  int token = neap_dnnl_enter(j->d);
  if (!sums) pack_filters(c, j);
  neap_parallel(c, j->m->tasks, run_task, j);
  if (sums) finish_sums(j);
  neap_dnnl_leave(j->d, token);
}

/* memory for packed filters that stay; false: there is none */
static bool keep_filters (neap_context *c, conv_made *m) {
  if (!m->filters || !m->pack || m->kept) return true;
  m->packed_in = 0;
  return (m->kept = neap_malloc(c, m->packed_bytes + LINE)) != NULL;
}

bool conv_run_dnn (neap_context *c, conv_made *m, const conv_operands *o) {
  dnn_job j = { .d = c->dnnl, .m = m, .o = o, .alone = neap_works_alone(c) };
  size_t filters = m->packed_bytes * (size_t)(m->kind == CONV_WEIGHT ? 2 * m->tasks : 1);
  size_t bytes = filters + m->scratch_bytes * (size_t)(j.alone ? 1 : m->tasks) + LINE;
  char *memory = keep_filters(c, m) ? neap_malloc(c, bytes) : NULL;
  if (!memory) return false;
  j.filters = align(memory);
  j.scratch = j.filters + filters;
  go(c, &j);
  neap_free(c, memory, bytes);
  if (j.status == DNNL_OK) return true;
  return neap_fail(c, j.status == DNNL_NO_MEMORY ? NEAP_EMEMORY : NEAP_ESTATE, "convolve: oneDNN failed with status %d",
                   j.status);
}
