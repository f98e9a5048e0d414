// Workloads of `benches/scalar` with the tapes of C++: the same functions of the same numbers, from plain source.
//
// Compiled once for each tape, with -DSTAN or -DADOLC; see README.md beside the crate's peers. Prints a line of JSON for
// each workload: nanoseconds for each elementary operation on active numbers, recording, sweep and reading together.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#ifdef STAN
#if __has_include(<stan/math/rev/scal.hpp>)
#include <stan/math/rev/scal.hpp> // up to 2.21
#else
#include <stan/math/rev.hpp>
#endif
using Number = stan::math::var;
static const char *SYSTEM = "stan-math";
#else
#include <adolc/adolc.h>
using Number = adouble;
static const char *SYSTEM = "adol-c";
#endif

struct Generator {
  uint64_t state;
  explicit Generator(uint64_t seed) : state(seed | 1) {}
  double uniform() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return double(state >> 11) / double(uint64_t(1) << 53);
  }
  double normal() {
    double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * M_PI * uniform());
  }
};

// The value, and the gradient, by the tape.
template <class F> double gradient(F &&f, const std::vector<double> &x, std::vector<double> &out) {
#ifdef STAN
  std::vector<Number> vars(x.begin(), x.end());
  Number y = f(vars);
  double value = y.val();
  y.grad();
  for (size_t i = 0; i < x.size(); i++) out[i] = vars[i].adj();
  stan::math::recover_memory();
  return value;
#else
  std::vector<Number> vars(x.size());
  double value;
  trace_on(0, 1);
  for (size_t i = 0; i < x.size(); i++) vars[i] <<= x[i];
  {
    Number y = f(vars);
    y >>= value;
  }
  trace_off();
  double seed = 1.0;
  reverse(0, 1, int(x.size()), 0, &seed, out.data());
  return value;
#endif
}

template <class S> S rosenbrock(const std::vector<S> &x) {
  S sum = 0.0;
  for (size_t i = 0; i + 1 < x.size(); i++) {
    S curve = x[i + 1] - x[i] * x[i];
    S rest = -(x[i] - 1.0);
    sum += curve * curve * 100.0 + rest * rest;
  }
  return sum;
}

template <class S> struct Lorenz {
  using Three = std::array<S, 3>;
  static Three slope(const Three &u, const Three &p) {
    return {p[0] * (u[1] - u[0]), u[0] * (p[1] - u[2]) - u[1], u[0] * u[1] - p[2] * u[2]};
  }
  static Three moved(const Three &u, const Three &k, double h) {
    return {u[0] + k[0] * h, u[1] + k[1] * h, u[2] + k[2] * h};
  }
  static S function(const std::vector<S> &x, int steps) {
    const double h = 2e-4;
    Three u = {x[0], x[1], x[2]}, p = {x[3], x[4], x[5]};
    for (int n = 0; n < steps; n++) {
      Three a = slope(u, p), b = slope(moved(u, a, h / 2), p);
      Three c = slope(moved(u, b, h / 2), p), d = slope(moved(u, c, h), p);
      for (int i = 0; i < 3; i++) u[i] = u[i] + (a[i] + b[i] * 2.0 + c[i] * 2.0 + d[i]) * (h / 6);
    }
    return u[0] * u[0] + u[1] * u[1] + u[2] * u[2];
  }
};

constexpr int B = 14, LAYERS = 2, LAYER = 8 * B, EXTRA = LAYERS * LAYER;

struct Lstm {
  std::vector<std::array<double, B>> text;
  double state[LAYERS][2][B];
  std::vector<double> x;

  explicit Lstm(int characters) : text(characters) {
    Generator generator(4);
    for (int i = 0; i < EXTRA + 3 * B; i++) x.push_back(0.5 * generator.normal());
    for (auto &layer : state)
      for (auto &part : layer)
        for (auto &value : part) value = 0.5 * generator.normal();
    for (auto &character : text)
      for (auto &bit : character) bit = generator.uniform() < 0.5 ? 1.0 : 0.0;
  }

  template <class S> S function(const std::vector<S> &p) const {
    using std::exp;
    using std::log;
    using std::tanh;
    auto sigmoid = [](const S &x) { return S(1.0 / (exp(-x) + 1.0)); };
    S hidden[LAYERS][B], cell[LAYERS][B], total = 0.0;
    for (int l = 0; l < LAYERS; l++)
      for (int i = 0; i < B; i++) hidden[l][i] = state[l][0][i], cell[l][i] = state[l][1][i];
    for (size_t t = 0; t + 1 < text.size(); t++) {
      S input[B];
      for (int i = 0; i < B; i++) input[i] = p[EXTRA + i] * text[t][i];
      for (int l = 0; l < LAYERS; l++) {
        const S *w = &p[l * LAYER];
        S forget[B], enter[B], leave[B], change[B];
        for (int i = 0; i < B; i++) {
          auto gate = [&](const S &x, int g) { return S(x * w[g * B + i] + w[(4 + g) * B + i]); };
          forget[i] = sigmoid(gate(input[i], 0)), enter[i] = sigmoid(gate(hidden[l][i], 1));
          leave[i] = sigmoid(gate(input[i], 2)), change[i] = tanh(gate(hidden[l][i], 3));
        }
        for (int i = 0; i < B; i++) cell[l][i] = cell[l][i] * forget[i] + enter[i] * change[i];
        for (int i = 0; i < B; i++) hidden[l][i] = leave[i] * tanh(cell[l][i]);
        for (int i = 0; i < B; i++) input[i] = hidden[l][i];
      }
      S output[B], sum = 0.0;
      for (int i = 0; i < B; i++) output[i] = input[i] * p[EXTRA + B + i] + p[EXTRA + 2 * B + i];
      for (int i = 0; i < B; i++) sum += exp(output[i]);
      S normalizer = log(sum + 2.0);
      for (int i = 0; i < B; i++) total += (output[i] - normalizer) * text[t + 1][i];
    }
    return total * (-1.0 / double((text.size() - 1) * B));
  }
};

template <class F, class G>
void time(const char *name, double operations, const std::vector<double> &x, F &&plain, G &&active) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> out(x.size()), times, by_plain;
  double value = 0.0;
  auto start = Clock::now();
  while (times.size() < 5 || Clock::now() - start < std::chrono::seconds(3)) {
    auto a = Clock::now();
    volatile double kept = plain(x);
    (void)kept;
    auto b = Clock::now();
    value = gradient(active, x, out);
    auto c = Clock::now();
    by_plain.push_back(std::chrono::duration<double, std::nano>(b - a).count() / operations);
    times.push_back(std::chrono::duration<double, std::nano>(c - b).count() / operations);
  }
  double total = 0.0;
  for (double d : out) total += d;
  std::fprintf(stderr, "%s: value %.12g, sum of derivatives %.12g\n", name, value, total);
  for (auto *of : {&by_plain, &times}) {
    std::sort(of->begin(), of->end());
    std::printf("{\"system\":\"%s\",\"workload\":\"%s\",\"form\":\"%s\",\"ns_per_op_min\":%.4f,"
                "\"ns_per_op_median\":%.4f,\"ops\":%.0f}\n",
                SYSTEM, name, of == &times ? "source" : "plain", of->front(), (*of)[of->size() / 2], operations);
  }
}

int main(int count, char **names) {
  auto wanted = [&](const char *name) {
    return count < 2 || std::any_of(names + 1, names + count, [&](char *n) { return !std::strcmp(n, name); });
  };
  for (auto [name, n] : {std::pair{"rosenbrock", 1000}, std::pair{"rosenbrock_large", 100000}}) {
    if (!wanted(name)) continue;
    Generator generator(1);
    std::vector<double> x(n);
    for (double &v : x) v = generator.uniform() * 2.0 - 0.5;
    time(name, 8.0 * (n - 1), x, rosenbrock<double>, rosenbrock<Number>);
  }
  if (wanted("lstm")) {
    Lstm lstm(1024);
    double layers = LAYERS * B * (3 * 6 + 3 + 3 + 2), output = 2 * B + (2 * B + 2) + B + 2 * B;
    time("lstm", 1023 * (B + layers + output) + 1, lstm.x,
         [&](const std::vector<double> &x) { return lstm.function(x); },
         [&](const std::vector<Number> &x) { return lstm.function(x); });
  }
  if (wanted("lorenz")) {
    Generator generator(5);
    std::vector<double> x = {1.0, 1.0, 20.0, 10.0, 28.0, 8.0 / 3.0};
    for (double &v : x) v += 0.1 * generator.uniform();
    time("lorenz", 10000.0 * 71 + 5, x,
         [](const std::vector<double> &x) { return Lorenz<double>::function(x, 10000); },
         [](const std::vector<Number> &x) { return Lorenz<Number>::function(x, 10000); });
  }
}
