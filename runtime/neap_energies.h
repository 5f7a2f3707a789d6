/*
** neap_energies.h -- making, composing, judging, saving energies.  Included by neap_models.h.
** A maker returns an energy of which the caller owns one reference (neap_energy_release), or NULL.  A composed
** energy keeps its parts, so the parts may be released at once.  Energies never change: composing, cloning
** and exchanging parameters make new ones that share what is the same.
** Tensors given to a maker are kept by reference.  One that is a variable by then (neap_requires_grad) is a
** parameter of the energy; any other is a constant, used in the dtype of x (derivatives still reach what it was
** computed from).
*/
#ifndef NEAP_ENERGIES_H
#define NEAP_ENERGIES_H

/* ---- An energy from a function --------------------------------------------------------------- */

/* x [B, event…], cond [B, …] or NULL -> energies [B].  params: the energy's parameters, in their order. */
typedef neap_tensor *(*neap_energy_fn) (neap_context *c, void *ud, neap_tensor *const *params, neap_tensor *x,
                                        neap_tensor *cond);

typedef struct neap_function_config {
  const char *name;                      /* in messages; NULL = "function" */
  int event_ndim; const int64_t *event;  /* event NULL = not known */
  int nparams; neap_tensor *const *params;   /* become variables */
  const char *const *names;              /* of the parameters; NULL = "1", "2", … */
  bool logits;                           /* the function gives [B, K]: the energy is −log Σₖ e^(fₖ), a classifier's */
  int64_t states;                        /* q > 0: x is 1 … q in each place, and the function is given it one-hot,
                                            [B, event…, q]; event is needed */
} neap_function_config;

/* cfg NULL = no parameters, event not known.  ud belongs to the energy from here on, even if this fails:
** free_ud(c, ud) is called once nothing needs it any more. */
NEAP_API neap_energy *neap_energy_from_function (neap_context *c, neap_energy_fn fn, void *ud,
                                                 void (*free_ud) (neap_context *c, void *ud),
                                                 const neap_function_config *cfg);

/* ---- Ready made ------------------------------------------------------------------------------ */

/* A network x [B, sizes[0]] -> sizes[1] -> … -> 1.  Weights U(±g√(3/fan_in)) with the activation's gain g, biases
** U(±1/√fan_in).  With condition = k > 0 it takes c [B, k], joined to x. */
typedef struct neap_mlp_config {
  int nsizes; const int64_t *sizes;      /* input first; a head with one output is added */
  const char *activation;                /* silu (NULL), relu, leaky_relu, elu, gelu, softplus, tanh, sigmoid, sin */
  int64_t condition;
  neap_dtype dtype;
  neap_rng *rng;                         /* NULL = the context's own */
} neap_mlp_config;
/* E(x) [B] of x [B, sizes[0]], c [B, k].  Unknown activations and sizes below 1 fail with NEAP_EARG. */
NEAP_API neap_energy *neap_energy_mlp (neap_context *c, const neap_mlp_config *cfg);

/* A network of residual blocks (He et al. 2016): h = W₁x + b₁, h ← h + V σ(W h + b) + v per block, E = w·σ(h) + b, h of
** width sizes[1].  sizes after it are the widths inside the blocks, one each; with two sizes there are `blocks` of
** them, as wide inside.  Drawn as an mlp is; V is divided by √blocks.  condition: as an mlp's. */
typedef struct neap_residual_config {
  int nsizes; const int64_t *sizes;      /* input, width [, inner width per block] */
  int64_t blocks;                        /* with two sizes; 0 = 2 */
  const char *activation;
  int64_t condition;
  neap_dtype dtype;
  neap_rng *rng;
} neap_residual_config;
/* E(x) [B] of x [B, sizes[0]], c [B, k]; errors as an mlp's. */
NEAP_API neap_energy *neap_energy_residual_mlp (neap_context *c, const neap_residual_config *cfg);

/* A network of images x [B, C, H, W]: convolutions with an activation after each, dense layers of `hidden` units each on
** what is left of the image (there may be none), one output.  A kernel of k pads by (k − 1) / 2.  Drawn as an mlp is;
** parameters weight1 [channels[0], C, k, k], bias1 …, as PyTorch has them. */
typedef struct neap_conv_config {
  const int64_t *input;                  /* {C, H, W} */
  int nlayers; const int64_t *channels, *kernels, *strides;            /* of each convolution; kernels and strides to 15 */
  int nhidden; const int64_t *hidden;
  const char *activation;
  neap_dtype dtype;
  neap_rng *rng;
} neap_conv_config;
/* E(x) [B] of x [B, C, H, W]; errors as an mlp's. */
NEAP_API neap_energy *neap_energy_conv (neap_context *c, const neap_conv_config *cfg);

/* E(x, σ) = net(x)/σ, or net(x, log σ)/σ where net takes a condition: one network for every noise level (Song and Ermon
** 2020).  The condition σ is [B] or [B, 1], positive. */
NEAP_API neap_energy *neap_energy_noise_conditional (neap_context *c, neap_energy *net);

/* A classifier as an energy, −log Σₖ e^(fₖ(x)) (JEM: Grathwohl et al. 2020): the mlp or conv net without its head, whose
** last (hidden) size counts the classes.  It shares net's tensors.  From a function: neap_energy_from_function with
** logits. */
NEAP_API neap_energy *neap_energy_classifier (neap_context *c, neap_energy *net);
/* The logits f(x) [B, K] of a classifier. */
NEAP_API neap_tensor *neap_energy_logits (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);
/* The energy of class k, −fₖ(x): k 0-d or [B], 1 … K, of any dtype.  k NULL: of x and its class together, which is the
** condition, [B] or [B, 1]. */
NEAP_API neap_energy *neap_energy_of_class (neap_context *c, neap_energy *E, neap_tensor *k);

/* A normalised energy, −log p of a flow of affine couplings with alternating halves (Dinh et al. 2017): exact draws,
** log Z = 0.  A coupling's network has two hidden layers; none stretches by more than e².  Starts near N(0, I). */
typedef struct neap_flow_config {
  int64_t dim, layers, hidden;           /* numbers in x (2 at least), couplings, units of a hidden layer */
  const char *activation;                /* as an mlp's */
  neap_dtype dtype;
  neap_rng *rng;
} neap_flow_config;
/* E(x) [B] of x [B, dim]; errors as an mlp's. */
NEAP_API neap_energy *neap_energy_flow (neap_context *c, const neap_flow_config *cfg);

/* Restricted Boltzmann machine, units 0/1: E(v) = −b·v − Σ softplus(c + vW), the free energy of v [B, visible].
** Parameters W [visible, hidden] ~ N(0, .01²) (Hinton 2012), b and c zero.  rng NULL = the context's own. */
NEAP_API neap_energy *neap_energy_rbm (neap_context *c, int64_t visible, int64_t hidden, neap_dtype d, neap_rng *rng);
/* The same with visible units that are normal given the hidden ones: E(v) = ½ |(v − b)/std|² − Σ softplus(c + (v/std)W)
** (Hinton & Salakhutdinov 2006).  std 0-d or [visible], NULL = 1. */
NEAP_API neap_energy *neap_energy_gaussian_rbm (neap_context *c, int64_t visible, int64_t hidden, neap_tensor *std,
                                                neap_dtype d, neap_rng *rng);
/* P(h = 1 | v) = σ(c + vW) [B, hidden] of v [B, visible]; of a Gaussian one v/std stands for v. */
NEAP_API neap_tensor *neap_rbm_hidden (neap_context *c, neap_energy *E, neap_tensor *v);
/* P(v = 1 | h) = σ(b + hWᵀ) [B, visible] of h [B, hidden]; of a Gaussian one the mean b + std hWᵀ. */
NEAP_API neap_tensor *neap_rbm_visible (neap_context *c, neap_energy *E, neap_tensor *h);
/* −b·v − c·h − vWh [B]; of a Gaussian one ½ |(v − b)/std|² − c·h − (v/std)Wh. */
NEAP_API neap_tensor *neap_rbm_joint (neap_context *c, neap_energy *E, neap_tensor *v, neap_tensor *h);
/* Whether E is an RBM with units 0/1: what block Gibbs asks. */
NEAP_API bool neap_energy_is_rbm (const neap_energy *E);

/* ½ (x−μ)ᵀΛ(x−μ) of x [B, D]: mean [D], one of cov [D, D], precision [D, D], std (0-d or [D]); all NULL: std 1. */
NEAP_API neap_energy *neap_energy_gaussian (neap_context *c, neap_tensor *mean, neap_tensor *cov,
                                            neap_tensor *precision, neap_tensor *std);
/* −log Σ wₖ N(x; μₖ, Σₖ), normalised: means [K, D], covs [K, D, D] or std (0-d, [K] or [K, D]); weights [K] are
** divided by their sum, NULL = equal. */
NEAP_API neap_energy *neap_energy_gmm (neap_context *c, neap_tensor *means, neap_tensor *covs, neap_tensor *std,
                                       neap_tensor *weights);
/* −log Σ wₖ e^(−Eₖ): weights [n] multiply the unnormalised densities; NULL = 1/n each. */
NEAP_API neap_energy *neap_energy_mixture (neap_context *c, int n, neap_energy *const *Es, neap_tensor *weights);
/* Σ barrier (x² − 1)²; x of any event shape, [dim] where one is needed. */
NEAP_API neap_energy *neap_energy_double_well (neap_context *c, double barrier, int64_t dim);
/* Neal's funnel (2003): x₁ ~ N(0, 3²), the others N(0, e^x₁). */
NEAP_API neap_energy *neap_energy_funnel (neap_context *c, int64_t dim);
/* x₁²/2s₁² + (x₂ − b(x₁² − s₁²))²/2s₂²: a twisted normal (Haario et al. 1999). */
NEAP_API neap_energy *neap_energy_banana (neap_context *c, double b, double s1, double s2);
/* Σᵢ (a − xᵢ)² + b (xᵢ₊₁ − xᵢ²)². */
NEAP_API neap_energy *neap_energy_rosenbrock (neap_context *c, double a, double b, int64_t dim);
/* Σ x² + a (1 − cos 2πx): a bowl with wells at the whole numbers (Rastrigin 1974). */
NEAP_API neap_energy *neap_energy_rastrigin (neap_context *c, double a, int64_t dim);
/* a (1 − e^(−b √mean x²)) + e − e^(mean cos(freq x)): a funnel-shaped hole with ripples (Ackley 1987). */
NEAP_API neap_energy *neap_energy_ackley (neap_context *c, double a, double b, double freq, int64_t dim);
/* (|x| − radius)² / 2 std². */
NEAP_API neap_energy *neap_energy_ring (neap_context *c, double radius, double std, int64_t dim);

/* Units on a grid of any dimension, each with a bond to the next along every dimension of more than one unit: a torus
** (where a dimension of two has each bond twice), or with open ends.  Or any graph. */
typedef struct neap_lattice {
  int ndim; const int64_t *shape;        /* ndim 0 with edges: [the last unit they name] */
  neap_tensor *edges;                    /* [M, 2]: the units of each bond, counted from 1, row by row; or NULL */
  bool open;
} neap_lattice;
/* −β Σ s s' − Σ h s over the bonds and the spins s = ±1 (Ising 1925): beta 0-d or, with edges, [M]; field 0-d or of
** the lattice's shape, NULL = none. */
NEAP_API neap_energy *neap_energy_ising (neap_context *c, const neap_lattice *lattice, neap_tensor *beta,
                                         neap_tensor *field);

/* −β Σ [x = x′] over the bonds, x = 1 … states of at most 256 (Potts 1952). */
NEAP_API neap_energy *neap_energy_potts (neap_context *c, const neap_lattice *lattice, int64_t states,
                                         neap_tensor *beta);

/* Low at the patterns ξ [K, D], beta 0-d.  ½ |x|² − log Σ e^(β ξ·x) / β of x [B, D] (Ramsauer et al. 2020, without
** their constants); classical: −β/2D Σ_{i≠j} xᵢ xⱼ Σ ξᵢ ξⱼ of spins ±1 (Hopfield 1982). */
NEAP_API neap_energy *neap_energy_hopfield (neap_context *c, neap_tensor *patterns, neap_tensor *beta, bool classical);

/* ---- Algebra --------------------------------------------------------------------------------- */

NEAP_API neap_energy *neap_energy_sum (neap_context *c, int n, neap_energy *const *Es);       /* AND */
NEAP_API neap_energy *neap_energy_any (neap_context *c, int n, neap_energy *const *Es);       /* OR: −log Σ e^(−Eᵢ) */
NEAP_API neap_energy *neap_energy_scale (neap_context *c, neap_energy *E, double w);          /* w E */
NEAP_API neap_energy *neap_energy_offset (neap_context *c, neap_energy *E, double constant);  /* E + constant */
NEAP_API neap_energy *neap_energy_scale_by (neap_context *c, neap_energy *E, neap_tensor *w);   /* w E, w 0-d or [B] */
/* E / T, 0-d or [B]. */
NEAP_API neap_energy *neap_energy_divide_by (neap_context *c, neap_energy *E, neap_tensor *T);
/* E + constant, 0-d or [B]. */
NEAP_API neap_energy *neap_energy_offset_by (neap_context *c, neap_energy *E, neap_tensor *constant);
/* E(x − v): v broadcasts to x. */
NEAP_API neap_energy *neap_energy_translate (neap_context *c, neap_energy *E, neap_tensor *v);
/* E(·, cond): one condition for all rows (shape […]), or one per row ([B, …] or [1, …]). */
NEAP_API neap_energy *neap_energy_given (neap_context *c, neap_energy *E, neap_tensor *cond);
/* E(where(mask, values, x)): mask event-shaped, values event-shaped or [B, event…] (0-d: all alike). */
NEAP_API neap_energy *neap_energy_fix (neap_context *c, neap_energy *E, neap_tensor *mask, neap_tensor *values);

/* ---- Derivatives by x: differentiable again wherever x, c or the parameters are tracked ------- */

NEAP_API neap_tensor *neap_energy_grad (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);   /* ∇E */
NEAP_API neap_tensor *neap_energy_score (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);  /* −∇E */
/* ∇²E(x) v per row: v of x's shape. */
NEAP_API neap_tensor *neap_energy_hvp (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                                       neap_tensor *v);
/* tr ∇²E [B], exact: one forward-over-reverse pass per coordinate, over the whole batch. */
NEAP_API neap_tensor *neap_energy_laplacian (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond);
/* Mean of vᵀ∇²E v over samples draws of v = ±1 (Hutchinson 1990).  rng NULL = the context's own. */
NEAP_API neap_tensor *neap_energy_laplacian_hutchinson (neap_context *c, neap_energy *E, neap_tensor *x,
                                                        neap_tensor *cond, int samples, neap_rng *rng);

/* ---- Probabilities --------------------------------------------------------------------------- */

/* log p(x)/p(y) = E(y) − E(x) [B]. */
NEAP_API neap_tensor *neap_energy_log_ratio (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *y,
                                             neap_tensor *cond);
/* log ∫ e^(−E) in closed form, 0-d, differentiable in the parameters; NULL and NEAP_EARG where none is known.  Of an
** RBM by all states of its smaller side; if they are too many for a tape, with derivatives switched off only.  Of spins
** on a grid by transfer matrices, else by all states. */
NEAP_API neap_tensor *neap_energy_log_z (neap_context *c, neap_energy *E);
/* How many values a unit of a discrete energy has: *first, *first + *step, …; 0: x is any number.  A whole's are its
** first part's.  One of units 1 … q takes x one-hot, too, [B, event…, q]: its gradient comes from there. */
NEAP_API int64_t neap_energy_units (const neap_energy *E, double *first, double *step);
/* Whether ∫ e^−E is finite: 1 yes, −1 no, 0 not known (or with a pending error).  Decided from quadratic bounds of E
** far out, with its numbers as they are now, never by computing E.  *why, a constant text, says what decided; why may
** be NULL. */
NEAP_API int neap_energy_normalizable (neap_context *c, neap_energy *E, const char **why);
/* −E(x) − log_z [B]; log_z NULL: in closed form (a large RBM's result has no derivative). */
NEAP_API neap_tensor *neap_energy_log_prob (neap_context *c, neap_energy *E, neap_tensor *x, neap_tensor *cond,
                                            neap_tensor *log_z);
/* log Σ e^(−E) over all states of an event of at most 24 units, each lo or hi.  An RBM is summed over its smaller
** side. */
NEAP_API bool neap_energy_log_z_enumerate (neap_context *c, neap_energy *E, double lo, double hi, double *log_z);
/* The same over what E's units are: −1 and 1 of ising and the classical hopfield, 1 … q of potts, else 0 and 1; of a
** composition, as its first part's. */
NEAP_API bool neap_energy_log_z_states (neap_context *c, neap_energy *E, double *log_z);
/* log ∫ e^(−E) by the trapezoid rule on a grid over n = 1, 2 or 3 dimensions, in float64; error: its difference from
** the grid of half as many points (NULL: not wanted).  points per dimension, made odd. */
NEAP_API bool neap_energy_log_z_quadrature (neap_context *c, neap_energy *E, int n, const double *lower,
                                            const double *upper, int64_t points, double *log_z, double *error);
/* n exact draws [n, event…] where E has an exact sampler; otherwise NULL and NEAP_EARG. */
NEAP_API neap_tensor *neap_energy_sample (neap_context *c, neap_energy *E, int64_t n, neap_rng *rng, neap_dtype d);

/* ---- Parameters, files, text ----------------------------------------------------------------- */

/* The same energy with other parameters, n = neap_energy_nparams of them, of the same shapes. */
NEAP_API neap_energy *neap_energy_with (neap_context *c, neap_energy *E, int n, neap_tensor *const *params);
NEAP_API neap_energy *neap_energy_clone (neap_context *c, neap_energy *E);    /* with copies of its parameters */
/* safetensors: all tensors, and under "neap.energy" the tree as JSON. */
NEAP_API bool neap_energy_save (neap_context *c, neap_energy *E, const char *path);
/* Makes a saved energy anew; one that holds a function cannot be. */
NEAP_API neap_energy *neap_energy_open (neap_context *c, const char *path);
/* Writes a file's tensors into E's parameters, by name. */
NEAP_API bool neap_energy_load (neap_context *c, neap_energy *E, const char *path);
/* "gaussian + 0.5 * mlp(2, 128)": at most size bytes with the final zero; returns buf. */
NEAP_API char *neap_energy_text (const neap_energy *E, char *buf, size_t size);
NEAP_API const char *neap_energy_name (const neap_energy *E);                 /* of the outermost part: "sum" */
/* Whether E wants a condition: 1 yes, 0 no, -1 it may take one. */
NEAP_API int neap_energy_conditional (const neap_energy *E);

#endif
