/*
** convnet.c -- a network of images: convolutions, then dense layers, the last of which has one output.
** Layers: the convolutions' weights are [O, C, kh, kw], the dense ones' [out, in], in which what is left of the image
** counts channel by channel; activations between them.  choice is the activation; num: height and width of the event,
** and the strides, that of layer i (from 0) in bits 4i … 4i + 3.  Inside, channels are last: no layer transposes.
*/
#include "network.h"

enum { MAX_LAYERS = 13, MAX_STRIDE = 15, STRIDE_BITS = 4 };            /* strides together are whole in a double */

int64_t network_stride (const neap_energy *E, int i) { return (int64_t)E->num[2] >> STRIDE_BITS * i & MAX_STRIDE; }

int network_convolutions (const neap_energy *E) {
  int n = 0;
  while (n < E->nslots / 2 && E->slots[2 * n].value->ndim == 4) n++;
  return n;
}

typedef struct image { int64_t c, side[2]; } image;

static int64_t padding_of (const neap_tensor *w, int side) { return (w->shape[2 + side] - 1) / 2; }

/* what layer i makes of images m */
static bool convolve_image (neap_context *c, const neap_energy *E, int i, image *m) {
  const neap_tensor *w = E->slots[2 * i].value, *b = E->slots[2 * i + 1].value;
  int64_t stride = network_stride(E, i);
  bool fits = w->shape[1] == m->c && w->shape[0] > 0 && b->ndim == 1 && b->shape[0] == w->shape[0] && stride > 0;
  for (int s = 0; s < 2 && fits; s++) {
    int64_t span = m->side[s] + 2 * padding_of(w, s) - w->shape[2 + s];
    fits = w->shape[2 + s] > 0 && span >= 0;
    if (fits) m->side[s] = span / stride + 1;
  }
  if (!fits)
    return neap_fail(c, NEAP_ESHAPE, "%s: layer %d does not fit images [%lld, %lld, %lld]: weight %s, bias %s",
                     E->cls->name, i + 1, (long long)m->c, (long long)m->side[0], (long long)m->side[1], SHAPE_TEXT(w),
                     SHAPE_TEXT(b));
  m->c = w->shape[0];
  return true;
}

static bool good_numbers (neap_context *c, const neap_energy *E, int layers) {
  bool sides = E->num[0] >= 1 && E->num[1] >= 1 && E->num[0] <= INT32_MAX && E->num[1] <= INT32_MAX;
  if (sides && layers >= 1 && layers <= MAX_LAYERS && E->num[2] >= 0 && E->num[2] < 0x1p52) return true;
  return neap_fail(c, NEAP_EARG, "%s: images of a positive size and 1 to %d convolutions expected", E->cls->name,
                   MAX_LAYERS);
}

bool network_check_images (neap_context *c, neap_energy *E, int64_t *out) {
  if (!network_check(c, E)) return false;
  int layers = network_convolutions(E);
  if (!good_numbers(c, E, layers)) return false;
  image m = { E->slots[0].value->shape[1], { (int64_t)E->num[0], (int64_t)E->num[1] } };
  energy_set_event(E, 3, (int64_t[]){ m.c, m.side[0], m.side[1] });
  for (int i = 0; i < layers; i++) if (!convolve_image(c, E, i, &m)) return false;
  *out = m.c * m.side[0] * m.side[1];
  for (int i = layers; i < E->nslots / 2; i++) if (!network_check_layer(c, E, i, out)) return false;
  return E->slots[E->nslots - 2].value->ndim == 2 ||
         neap_fail(c, NEAP_ESHAPE, "%s: a dense layer expected after the convolutions", E->cls->name);
}

static bool check (neap_context *c, neap_energy *E) {
  int64_t outputs;
  if (!network_check_images(c, E, &outputs)) return false;
  return outputs == 1 || neap_fail(c, NEAP_ESHAPE, "conv: one output expected, got %lld", (long long)outputs);
}

static neap_tensor *permuted (neap_context *c, neap_tensor *x, int a, int b, int d, int e) {
  return x ? neap_permute(c, x, 4, (int64_t[]){ a, b, d, e }) : NULL;
}

/* h [B, H, W, C] -> [B, H', W', O] */
static neap_tensor *convolution (neap_context *c, const neap_energy *E, int i, neap_tensor *h) {
  neap_tensor *w = E->slots[2 * i].value, *filters = permuted(c, w, 3, 4, 2, 1);
  int64_t stride = network_stride(E, i), strides[] = { stride, stride };
  int64_t padding[] = { padding_of(w, 0), padding_of(w, 1) };
  neap_tensor *y = h && filters ? neap_convolve(c, h, filters, strides, padding, NULL, 1) : NULL;
  return y ? neap_add(c, y, E->slots[2 * i + 1].value) : NULL;
}

neap_tensor *network_images (neap_context *c, const neap_energy *E, neap_tensor *x) {
  int layers = network_convolutions(E);
  neap_tensor *h = permuted(c, x, 1, 3, 4, 2);
  for (int i = 0; i < layers; i++) h = network_activate(c, E, convolution(c, E, i, h));
  int64_t inputs = E->slots[2 * layers].value->shape[1];
  h = energy_reshape(c, permuted(c, h, 1, 4, 2, 3), 2, (int64_t[]){ x->shape[0], inputs });
  for (int i = layers; i < E->nslots / 2; i++)
    h = network_layer(c, E, i, i == layers ? h : network_activate(c, E, h));
  return h;
}

/* x [B, C, H, W] -> [B] */
static neap_tensor *eval (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond) {
  (void)cond;
  return energy_reshape(c, network_images(c, E, x), 1, x->shape);
}

const energy_class energy_conv_class = { "conv", 0, 0, 3, check, eval, NULL, NULL, network_tail };

/* ---- making ---- */

/* numbers in what is left of an image */
static int64_t left_over (const neap_conv_config *cfg) {
  int64_t side[] = { cfg->input[1], cfg->input[2] };
  for (int i = 0; i < cfg->nlayers; i++)
    for (int s = 0; s < 2; s++) {
      int64_t k = cfg->kernels[i], span = side[s] + 2 * ((k - 1) / 2) - k;
      side[s] = span < 0 ? 0 : span / cfg->strides[i] + 1;
    }
  return cfg->channels[cfg->nlayers - 1] * side[0] * side[1];
}

/* As an mlp's: a gain makes up for the activation before it; the first layer has none before it, the head gives an
** energy. */
static void set_layers (neap_context *c, neap_energy *E, const void *config) {
  const neap_conv_config *cfg = config;
  network_init init = { "conv", cfg->dtype, cfg->rng };
  double gain = network_gain(E->choice);
  int64_t packed = 0, inputs = left_over(cfg);
  int n = cfg->nlayers;
  for (int i = 0; i < n && neap_ok(c); i++) {
    int64_t k = cfg->kernels[i], shape[] = { cfg->channels[i], i ? cfg->channels[i - 1] : cfg->input[0], k, k };
    network_set_filters(c, E, &init, i, 4, shape, i ? gain : 1, 1);
    packed |= cfg->strides[i] << STRIDE_BITS * i;
  }
  for (int i = 0; i < cfg->nhidden && neap_ok(c); i++, inputs = cfg->hidden[i - 1])
    network_set_layer(c, E, &init, n + i, inputs, cfg->hidden[i], gain, 1);
  if (neap_ok(c)) network_set_layer(c, E, &init, n + cfg->nhidden, inputs, 1, 1, 1);
  E->num[0] = (double)cfg->input[1];
  E->num[1] = (double)cfg->input[2];
  E->num[2] = (double)packed;
}

enum { LARGEST = 1 << 15 };                /* sizes and channels, so that no product overflows */

static bool in_range (neap_context *c, const char *what, int n, const int64_t *v, int64_t low, int64_t high) {
  for (int i = 0; i < n; i++)
    if (v[i] < low || v[i] > high)
      return neap_fail(c, NEAP_EARG, "conv: %s[%d] must be %lld to %lld, got %lld", what, i + 1, (long long)low,
                       (long long)high, (long long)v[i]);
  return true;
}

static bool check_config (neap_context *c, const neap_conv_config *cfg) {
  if (!cfg || !cfg->input || cfg->nlayers < 1 || cfg->nlayers > MAX_LAYERS)
    return neap_fail(c, NEAP_EARG, "conv: input = {channels, height, width} and channels of 1 to %d layers expected",
                     MAX_LAYERS);
  bool ok = in_range(c, "input", 3, cfg->input, 1, LARGEST) &&
            in_range(c, "channels", cfg->nlayers, cfg->channels, 1, LARGEST) &&
            in_range(c, "kernels", cfg->nlayers, cfg->kernels, 1, LARGEST) &&
            in_range(c, "strides", cfg->nlayers, cfg->strides, 1, MAX_STRIDE) &&
            in_range(c, "hidden", cfg->nhidden, cfg->hidden, 1, INT32_MAX);
  if (!ok) return false;
  if (left_over(cfg) == 0)
    return neap_fail(c, NEAP_ESHAPE, "conv: nothing is left of images [%lld, %lld, %lld] after %d layers",
                     (long long)cfg->input[0], (long long)cfg->input[1], (long long)cfg->input[2], cfg->nlayers);
  return network_check_init(c, &(network_init){ "conv", cfg->dtype, NULL });
}

neap_energy *neap_energy_conv (neap_context *c, const neap_conv_config *cfg) {
  if (!neap_ok(c) || !check_config(c, cfg)) return NULL;
  int act = network_activation(c, "conv", cfg->activation), layers = cfg->nlayers + cfg->nhidden + 1;
  return network_new(c, &energy_conv_class, 2 * layers, act, 0, set_layers, cfg);
}
