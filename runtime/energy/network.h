/*
** network.h -- what energies made of linear layers share: activations, layers in slots, joining a condition.
** Invariant: layer i (from 0) lies in slots 2i, weight [out, in], and 2i+1, bias [out], named weight1, bias1, …; the
** energy's choice is its activation's place, and messages begin with its class's name.
*/
#ifndef NEAP_NETWORK_H
#define NEAP_NETWORK_H

#include "tail.h"

/* What a maker needs to draw layers; who is the class's name. */
typedef struct network_init {
  const char *who;
  neap_dtype dtype;
  neap_rng *rng;                           /* NULL = the context's own */
} network_init;

/* Floats, sizes of at least 1, a condition that is a size. */
bool network_check_init (neap_context *c, const network_init *init);
bool network_check_sizes (neap_context *c, const char *who, int n, const int64_t *sizes);
bool network_check_condition (neap_context *c, const char *who, int64_t condition);

/* An activation's place by its name (NULL = silu); -1 with an error. */
int network_activation (neap_context *c, const char *who, const char *name);
/* An energy of cls with so many slots, which set fills; the activation is its choice, the condition its first number.
** NULL on failure, or with an activation of -1. */
neap_energy *network_new (neap_context *c, const energy_class *cls, int slots, int activation, int64_t condition,
                          void (*set) (neap_context *c, neap_energy *E, const void *config), const void *config);
/* 1/√E[f(z)²] for z ~ N(0, 1): layers with it keep the size of what passes through them. */
double network_gain (int64_t activation);
neap_tensor *network_activate (neap_context *c, const neap_energy *E, neap_tensor *x);

/* Layers in slots, pairs of them, and an activation that exists. */
bool network_check (neap_context *c, const neap_energy *E);
/* Layer i takes *in numbers (-1: any), and gives what *in becomes. */
bool network_check_layer (neap_context *c, const neap_energy *E, int i, int64_t *in);
/* The event [D], D = inputs − k with a condition of k numbers. */
bool network_set_event (neap_context *c, neap_energy *E, int64_t k);
/* Every layer takes what the one before gives; *out is what the last one gives. */
bool network_check_stack (neap_context *c, const neap_energy *E, int64_t *out);
/* Layer i of h; NULL passes through. */
neap_tensor *network_layer (neap_context *c, const neap_energy *E, int i, neap_tensor *h);
/* All layers of x joined with its condition of k numbers, activated between them. */
neap_tensor *network_stack (neap_context *c, const neap_energy *E, neap_tensor *x, neap_tensor *cond, int64_t k);
/* x [B, D], cond [B, k] -> [B, D+k]; a condition of one number may be [B]; NULL: x itself. */
neap_tensor *network_join (neap_context *c, const neap_energy *E, neap_tensor *x, neap_tensor *cond, int64_t k);

/* Of a network of images: its layers fit, the last is dense; sets the event; *out is what the last one gives. */
bool network_check_images (neap_context *c, neap_energy *E, int64_t *out);
/* All layers of x [B, C, H, W] -> [B, outputs]. */
neap_tensor *network_images (neap_context *c, const neap_energy *E, neap_tensor *x);
/* How many convolutions it begins with, and the stride of each. */
int network_convolutions (const neap_energy *E);
int64_t network_stride (const neap_energy *E, int i);

/* A network grows at most as |x|, and stays bounded where its last activation is. */
bool network_tail (neap_context *c, neap_energy *E, energy_tail *t);

/* Layer i as variables: weights U(±gain √(3/in)), biases U(±1/√in), each times scale. */
void network_set_layer (neap_context *c, neap_energy *E, const network_init *init, int i, int64_t in, int64_t out,
                        double gain, double scale);
/* The same with weights of another shape, outputs first: in counts the rest. */
void network_set_filters (neap_context *c, neap_energy *E, const network_init *init, int i, int ndim,
                          const int64_t *shape, double gain, double scale);

#endif
