// A decoder's forward pass over a few rows, in float32, bit for bit the same whatever is beside a row.
//
// A row is one token of one sequence. Every sum over inputs, head dimensions or cache slots is taken
// in one order that depends on neither the number of rows nor their order, the batch, the capacity of
// the cache or the number of threads. Only then is checking drafted tokens the same as decoding them.
//
// Weights are packed in panels of 16 outputs, `[panel][input][16]`, the last one padded with zeros: a
// pass reads each weight once and in order, for one row or for several. Keys are packed alike, in
// panels of 16 slots, so that products with weights, scores and weighted values are one loop (`tile`).
//
// GCC's vector extensions; OpenMP runs on the pool that torch has loaded. `model.py` owns all memory.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#if defined(__AVX512F__)
constexpr int kLanes = 16, kMaxRows = 8;
#elif defined(__AVX2__)
constexpr int kLanes = 8, kMaxRows = 6;  // 12 of 16 registers hold sums
#else
constexpr int kLanes = 4, kMaxRows = 6;
#endif
constexpr int kPanel = 16, kParts = kPanel / kLanes;
// Cache lines that are asked for beforehand, to the second level: a page, which is as far as the
// processor itself dares to look. Without, rows beyond the first cost what waiting for memory costs.
constexpr int64_t kAhead = 64;
constexpr int64_t kSmallWork = 1 << 15;  // multiplications that are not worth waking a thread

typedef float Lanes __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));

extern "C" {
struct Layer {
  const float *input_norm, *qkv, *qkv_bias, *query_norm, *key_norm, *out, *out_bias;
  const float *post_norm, *gate_up, *down;
  int64_t window;  // slots that a token sees, itself included; 0: all
};

struct Model {
  const Layer *layers;
  const float *embedding;  // row-major, or null: the packed full output layer below is tied to it
  const float *tied_embedding, *norm, *head;
  const float *cosines, *sines;  // [position][head_dim / 2]
  int64_t num_layers, hidden, heads, key_heads, head_dim, inner, vocabulary, outputs;
  float epsilon, scale;
};

struct Cache {
  float *keys;    // [layer][slot][key head][panel][head_dim][16]
  float *values;  // [layer][slot][key head][capacity][head_dim]
  int64_t slots, capacity;  // of sequences; of tokens, a multiple of 16
};
}

template <int R>
using Sums = Lanes[R][kParts];

// sums[r][:] = sum over i of rows[r][i] * panel[i][:], in the order of i.
template <int R>
static inline void tile(const float *rows, int64_t row_stride, const float *panel, int64_t stride,
                        int64_t count, Sums<R> &sums) {
  for (int r = 0; r < R; ++r)
    for (int k = 0; k < kParts; ++k) sums[r][k] = Lanes{};
  for (int64_t i = 0; i < count; ++i) {
    Lanes weights[kParts];
    __builtin_prefetch(panel + (i + kAhead) * stride, 0, 2);
    for (int k = 0; k < kParts; ++k) weights[k] = *(const Lanes *)(panel + i * stride + k * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < kParts; ++k) sums[r][k] += weights[k] * rows[r * row_stride + i];
  }
}

// Calls `f(first row, tile size as a type)` for tiles of nearly equal size.
template <int N>
struct Size {
  static constexpr int value = N;
};

template <typename F>
static inline void in_tiles(int64_t rows, F f) {
  const int64_t tiles = (rows + kMaxRows - 1) / kMaxRows;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t first = rows * t / tiles, size = rows * (t + 1) / tiles - first;
    switch (size) {
      case 1: f(first, Size<1>()); break;
      case 2: f(first, Size<2>()); break;
      case 3: f(first, Size<3>()); break;
      case 4: f(first, Size<4>()); break;
      case 5: f(first, Size<5>()); break;
      case 6: f(first, Size<6>()); break;
      case 7: f(first, Size<kMaxRows < 7 ? 1 : 7>()); break;
      case 8: f(first, Size<kMaxRows < 8 ? 1 : 8>()); break;
    }
  }
}

// e^x within 2 units in the last place; 0 below -87, NaN stays NaN.
static inline Lanes exponential(Lanes x) {
  const Lanes least = Lanes{} - 87.0f, most = Lanes{} + 88.0f;
  const Ints vanishes = x < least;
  x = vanishes ? least : x;
  x = x > most ? most : x;
  const Lanes magic = Lanes{} + 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Lanes shifted = x * 1.44269504088896341f + magic, n = shifted - magic;
  const Lanes r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Lanes p = Lanes{} + 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Ints bits = ((Ints)shifted << 23) + (127 << 23);
  return vanishes ? Lanes{} : p * (Lanes)bits;
}

static inline float sum_of(Lanes lanes) {
  float sum = lanes[0];
  for (int i = 1; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

static void root_mean_square_norm(const float *x, const float *weight, int64_t size, float epsilon,
                                  float *y) {
  Lanes squares = {};
  for (int64_t i = 0; i < size; i += kLanes) {
    const Lanes part = *(const Lanes *)(x + i);
    squares += part * part;
  }
  const float factor = 1.0f / std::sqrt(sum_of(squares) / size + epsilon);
  for (int64_t i = 0; i < size; i += kLanes)
    *(Lanes *)(y + i) = *(const Lanes *)(weight + i) * (*(const Lanes *)(x + i) * factor);
}

// y = x W^T + bias, or y += that with `is_added`; `outputs` need not fill the last panel.
static void linear(const float *x, int64_t rows, int64_t inputs, const float *packed,
                   const float *bias, int64_t outputs, bool is_added, float *y, int threads) {
  const int64_t panels = (outputs + kPanel - 1) / kPanel;
#pragma omp parallel for schedule(static) num_threads(threads) \
    if (threads > 1 && rows * inputs * outputs > kSmallWork)
  for (int64_t panel = 0; panel < panels; ++panel) {
    const int64_t start = panel * kPanel;
    const int64_t width = outputs - start < kPanel ? outputs - start : kPanel;
    in_tiles(rows, [&](int64_t first, auto size) {
      constexpr int R = decltype(size)::value;
      Sums<R> sums;
      tile<R>(x + first * inputs, inputs, packed + start * inputs, kPanel, inputs, sums);
      for (int r = 0; r < R; ++r) {
        float result[kPanel];
        for (int k = 0; k < kParts; ++k) *(Lanes *)(result + k * kLanes) = sums[r][k];
        float *to = y + (first + r) * outputs + start;
        for (int64_t i = 0; i < width; ++i) {
          if (bias) result[i] += bias[start + i];
          to[i] = is_added ? to[i] + result[i] : result[i];
        }
      }
    });
  }
}

// y = silu(x G^T) * (x U^T); panels of G and U alternate.
static void gated_linear(const float *x, int64_t rows, int64_t inputs, const float *packed,
                         int64_t outputs, float *y, int threads) {
#pragma omp parallel for schedule(static) num_threads(threads) \
    if (threads > 1 && rows * inputs * outputs > kSmallWork)
  for (int64_t start = 0; start < outputs; start += kPanel) {
    const float *gates = packed + 2 * start * inputs;
    in_tiles(rows, [&](int64_t first, auto size) {
      constexpr int R = decltype(size)::value;
      Sums<R> gate, up;
      tile<R>(x + first * inputs, inputs, gates, kPanel, inputs, gate);
      tile<R>(x + first * inputs, inputs, gates + kPanel * inputs, kPanel, inputs, up);
      for (int r = 0; r < R; ++r)
        for (int k = 0; k < kParts; ++k)
          *(Lanes *)(y + (first + r) * outputs + start + k * kLanes) =
              gate[r][k] / (1.0f + exponential(-gate[r][k])) * up[r][k];
    });
  }
}

static void rotate(float *head, int64_t dim, const float *cosines, const float *sines) {
  const int64_t half = dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float a = head[i], b = head[i + half];
    head[i] = a * cosines[i] - b * sines[i];
    head[i + half] = b * cosines[i] + a * sines[i];
  }
}

struct Rows {
  int64_t count;
  const int64_t *tokens;
  const int32_t *slots, *positions;  // which sequence of the cache, and where in it
};

// Queries are normed and rotated where they are; keys and values go to their places in the cache.
static void store(const Model &m, const Layer &layer, const Rows &rows, int64_t row, float *qkv,
                  const Cache &cache, float *keys, float *values) {
  const int64_t dim = m.head_dim, slot = rows.slots[row], position = rows.positions[row];
  const float *cosines = m.cosines + position * (dim / 2), *sines = m.sines + position * (dim / 2);
  for (int64_t head = 0; head < m.heads + m.key_heads; ++head) {
    float *vector = qkv + head * dim;
    const float *norm = head < m.heads ? layer.query_norm : layer.key_norm;
    if (norm) root_mean_square_norm(vector, norm, dim, m.epsilon, vector);
    rotate(vector, dim, cosines, sines);
  }
  for (int64_t head = 0; head < m.key_heads; ++head) {
    const int64_t start = (slot * m.key_heads + head) * cache.capacity * dim;
    float *key = keys + start + position / kPanel * kPanel * dim + position % kPanel;
    const float *from = qkv + (m.heads + head) * dim;
    for (int64_t i = 0; i < dim; ++i) key[i * kPanel] = from[i];
    std::memcpy(values + start + position * dim, from + m.key_heads * dim, dim * sizeof(float));
  }
}

// One row's query heads that share a key head: softmax over exactly the slots that it sees.
template <int R>
static void attend(const float *queries, int64_t dim, float scale, const float *keys,
                   const float *values, int64_t first, int64_t last, float *scores,
                   int64_t capacity, float *y) {
  const int64_t start = first / kPanel * kPanel, end = last / kPanel * kPanel + kPanel;
  for (int64_t slot = start; slot < end; slot += kPanel) {
    Sums<R> sums;
    tile<R>(queries, dim, keys + slot * dim, kPanel, dim, sums);
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < kParts; ++k)
        *(Lanes *)(scores + r * capacity + slot + k * kLanes) = sums[r][k] * scale;
  }
  float factors[R];
  for (int r = 0; r < R; ++r) {
    float *own = scores + r * capacity;
    const float nothing = -std::numeric_limits<float>::infinity();
    for (int64_t slot = start; slot < first; ++slot) own[slot] = nothing;
    for (int64_t slot = last + 1; slot < end; ++slot) own[slot] = nothing;
    Lanes most = Lanes{} + nothing, sum = {};
    for (int64_t slot = start; slot < end; slot += kLanes) {
      const Lanes part = *(const Lanes *)(own + slot);
      most = part > most ? part : most;
    }
    float largest = most[0];
    for (int i = 1; i < kLanes; ++i) largest = most[i] > largest ? most[i] : largest;
    for (int64_t slot = start; slot < end; slot += kLanes) {
      const Lanes part = exponential(*(const Lanes *)(own + slot) - largest);
      *(Lanes *)(own + slot) = part;
      sum += part;
    }
    factors[r] = 1.0f / sum_of(sum);
  }
  for (int64_t i = 0; i < dim; i += kPanel) {
    Sums<R> sums;
    tile<R>(scores + first, capacity, values + first * dim + i, dim, last + 1 - first, sums);
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < kParts; ++k)
        *(Lanes *)(y + r * dim + i + k * kLanes) = sums[r][k] * factors[r];
  }
}

static void attention(const Model &m, const Layer &layer, const Rows &rows, const float *qkv,
                      int64_t qkv_size, const Cache &cache, const float *keys, const float *values,
                      float *scores, float *y, int threads) {
  const int64_t dim = m.head_dim, group = m.heads / m.key_heads;
  const int64_t work = rows.count * m.heads * dim * (rows.positions[rows.count - 1] + 1);
#pragma omp parallel for schedule(static, 1) num_threads(threads) \
    if (threads > 1 && work > kSmallWork)
  for (int64_t thread = 0; thread < threads; ++thread) {
    // Neighbouring tasks have neighbouring costs, so each thread takes every so many-th.
    float *own = scores + thread * kMaxRows * cache.capacity;
    for (int64_t task = thread; task < rows.count * m.key_heads; task += threads) {
      const int64_t row = task / m.key_heads, head = task % m.key_heads;
      const int64_t last = rows.positions[row];
      const int64_t first = layer.window && last >= layer.window ? last + 1 - layer.window : 0;
      const int64_t start = (rows.slots[row] * m.key_heads + head) * cache.capacity * dim;
      in_tiles(group, [&](int64_t first_query, auto size) {
        constexpr int R = decltype(size)::value;
        const int64_t query = (head * group + first_query) * dim;
        attend<R>(qkv + row * qkv_size + query, dim, m.scale, keys + start, values + start, first,
                  last, own, cache.capacity, y + row * m.heads * dim + query);
      });
    }
  }
}

static void embed(const Model &m, int64_t token, float *y) {
  if (m.embedding) {
    std::memcpy(y, m.embedding + token * m.hidden, m.hidden * sizeof(float));
    return;
  }
  const float *from = m.tied_embedding + token / kPanel * kPanel * m.hidden + token % kPanel;
  for (int64_t i = 0; i < m.hidden; ++i) y[i] = from[i * kPanel];
}

extern "C" {
// Numbers of scratch memory that `forward` needs for as many rows, threads and tokens.
int64_t scratch_size(const Model *model, int64_t rows, int64_t capacity, int64_t threads) {
  const Model &m = *model;
  const int64_t qkv = (m.heads + 2 * m.key_heads) * m.head_dim;
  return rows * (2 * m.hidden + qkv + m.heads * m.head_dim + m.inner) +
         threads * kMaxRows * capacity;
}

// The rows are in the cache; logits `[num_wanted][outputs]` of those at `wanted`, rising indices.
// Rows of one sequence come in the order of their positions. Returns 0, or 1 for a token outside the
// vocabulary or a place outside the cache; then nothing has been written.
int32_t forward(const Model *model, const Cache *cache, int64_t count, const int64_t *tokens,
                const int32_t *slots, const int32_t *positions, int64_t num_wanted,
                const int32_t *wanted, float *scratch, float *logits, int32_t threads) {
  const Model &m = *model;
  const Rows rows{count, tokens, slots, positions};
  for (int64_t row = 0; row < count; ++row)
    if (tokens[row] < 0 || tokens[row] >= m.vocabulary || slots[row] < 0 ||
        slots[row] >= cache->slots || positions[row] < 0 || positions[row] >= cache->capacity)
      return 1;
  const int64_t qkv_size = (m.heads + 2 * m.key_heads) * m.head_dim;
  const int64_t attended_size = m.heads * m.head_dim;
  float *states = scratch, *normed = states + count * m.hidden, *qkv = normed + count * m.hidden;
  float *attended = qkv + count * qkv_size, *inner = attended + count * attended_size;
  float *scores = inner + count * m.inner;
  const auto norm_rows = [&](const float *weight) {
#pragma omp parallel for schedule(static) num_threads(threads) \
    if (threads > 1 && count * m.hidden > kSmallWork)
    for (int64_t row = 0; row < count; ++row)
      root_mean_square_norm(states + row * m.hidden, weight, m.hidden, m.epsilon,
                            normed + row * m.hidden);
  };
  for (int64_t row = 0; row < count; ++row) embed(m, tokens[row], states + row * m.hidden);
  const int64_t layer_size = cache->slots * m.key_heads * cache->capacity * m.head_dim;
  for (int64_t index = 0; index < m.num_layers; ++index) {
    const Layer &layer = m.layers[index];
    float *keys = cache->keys + index * layer_size, *values = cache->values + index * layer_size;
    norm_rows(layer.input_norm);
    linear(normed, count, m.hidden, layer.qkv, layer.qkv_bias, qkv_size, false, qkv, threads);
#pragma omp parallel for schedule(static) num_threads(threads) \
    if (threads > 1 && count * qkv_size > kSmallWork)
    for (int64_t row = 0; row < count; ++row)
      store(m, layer, rows, row, qkv + row * qkv_size, *cache, keys, values);
    attention(m, layer, rows, qkv, qkv_size, *cache, keys, values, scores, attended, threads);
    linear(attended, count, attended_size, layer.out, layer.out_bias, m.hidden, true, states,
           threads);
    norm_rows(layer.post_norm);
    gated_linear(normed, count, m.hidden, layer.gate_up, m.inner, inner, threads);
    linear(inner, count, m.inner, layer.down, nullptr, m.hidden, true, states, threads);
  }
  for (int64_t i = 0; i < num_wanted; ++i)
    root_mean_square_norm(states + wanted[i] * m.hidden, m.norm, m.hidden, m.epsilon,
                          normed + i * m.hidden);
  linear(normed, num_wanted, m.hidden, m.head, nullptr, m.outputs, false, logits, threads);
  return 0;
}
}
