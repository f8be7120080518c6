#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "layers/registry.h"
#include "tests/layers/device_values.h"
#include "tests/layers/support.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

std::unique_ptr<Loss> make(const char* type, double label_smoothing = 0) {
  const LossType* found = find_loss_type(type);
  REQUIRE(found != nullptr);
  if (std::string(type) == "softmax_cross_entropy")
    return found->make(attributes(found->attributes, {{"label_smoothing", label_smoothing}}));
  return found->make(attributes(found->attributes));
}

struct Result {
  std::vector<float> losses, gradients;
  std::vector<std::int32_t> predicted;
};

/// In the memory of the device under test; on its queue, or another of its kind.
Result run(const Loss& loss, std::int64_t outputs, std::span<const float> output, std::span<const std::int32_t> labels,
           std::int64_t batch_images, WorkQueue* queue = nullptr, bool train = true) {
  Device& device = device_under_test();
  Result result{std::vector<float>(labels.size(), 77.0f), std::vector<float>(output.size(), 77.0f),
                std::vector<std::int32_t>(labels.size(), -1)};
  const DeviceValues<float> outputs_there(device, output), gradients(device, result.gradients),
      losses(device, result.losses);
  const DeviceValues<std::int32_t> labels_there(device, labels), predicted(device, result.predicted);
  const Shape shape{outputs};
  const auto images = static_cast<std::int64_t>(labels.size());
  loss.run(device.kind(), {.queue = queue ? queue : &device.queue(),
                           .output = {outputs_there.data(), shape, images},
                           .labels = labels_there.span(),
                           .batch_images = batch_images,
                           .output_gradient = {train ? gradients.data() : nullptr, shape, images},
                           .losses = losses.span(),
                           .predicted = predicted.span()});
  std::vector<float> after(output.size());
  outputs_there.read(after);
  CHECK(same_bits(after, output));
  gradients.read(result.gradients);
  losses.read(result.losses);
  predicted.read(result.predicted);
  return result;
}

/// One image's loss, written straight from the definition, in extended precision.
using Reference = long double (*)(std::span<const long double> output, std::int32_t label, long double smoothing);

long double cross_entropy(std::span<const long double> z, std::int32_t label, long double smoothing) {
  const long double largest = *std::max_element(z.begin(), z.end());
  long double sum = 0, loss = 0;
  for (const long double value : z) sum += std::exp(value - largest);
  for (std::size_t c = 0; c < z.size(); ++c) {
    const long double target = (static_cast<std::int32_t>(c) == label ? 1 - smoothing : 0) + smoothing / z.size();
    if (target > 0) loss -= target * (z[c] - largest - std::log(sum));
  }
  return loss;
}

long double binary(std::span<const long double> z, std::int32_t label, long double) {
  const long double signed_logit = label == 1 ? z[0] : -z[0];
  return signed_logit < -11000 ? -signed_logit : std::log1p(std::exp(-signed_logit));
}

long double squared(std::span<const long double> y, std::int32_t label, long double) {
  long double sum = 0;
  for (std::size_t k = 0; k < y.size(); ++k) {
    const bool hit = y.size() == 1 ? label == 1 : static_cast<std::int32_t>(k) == label;
    sum += (y[k] - hit) * (y[k] - hit);
  }
  return sum / y.size();
}

struct Case {
  const char* name;
  std::int64_t outputs, classes;
  double smoothing;
  Reference reference;
};

const Case cases[] = {
    {"softmax_cross_entropy", 10, 10, 0.0, cross_entropy},
    {"softmax_cross_entropy", 7, 7, 0.1, cross_entropy},
    {"softmax_cross_entropy", 3, 3, 1.0, cross_entropy},
    {"softmax_cross_entropy", 2, 2, 0.0, cross_entropy},
    {"softmax_cross_entropy", 1000, 1000, 0.1, cross_entropy},
    {"binary_cross_entropy", 1, 2, 0.0, binary},
    {"mean_squared_error", 10, 10, 0.0, squared},
    {"mean_squared_error", 1, 2, 0.0, squared},
    {"mean_squared_error", 2, 2, 0.0, squared},
};

std::vector<std::int32_t> random_labels(std::size_t images, std::int64_t classes) {
  std::mt19937 random(9);
  std::vector<std::int32_t> labels(images);
  for (auto& label : labels) label = static_cast<std::int32_t>(random() % static_cast<unsigned>(classes));
  return labels;
}

}  // namespace

TEST_CASE("losses and gradients agree with the definition and its numerical gradient") {
  for (const Case& c : cases)
    for (const float scale : {0.01f, 1.0f, 20.0f, 3000.0f}) {
      CAPTURE(std::string(c.name));
      CAPTURE(c.outputs);
      CAPTURE(scale);
      const std::size_t images = 9;
      const auto outputs = static_cast<std::size_t>(c.outputs);
      const std::vector<float> output = normal_values(images * outputs, scale, 11);
      const auto labels = random_labels(images, c.classes);
      const std::int64_t batch = 64;
      const Result result = run(*make(c.name, c.smoothing), c.outputs, output, labels, batch);
      double worst_loss = 0, worst_gradient = 0;
      for (std::size_t i = 0; i < images; ++i) {
        std::vector<long double> row(output.begin() + static_cast<std::ptrdiff_t>(i * outputs),
                                     output.begin() + static_cast<std::ptrdiff_t>((i + 1) * outputs));
        const long double loss = c.reference(row, labels[i], c.smoothing);
        worst_loss = std::max(worst_loss, std::abs(static_cast<double>((result.losses[i] - loss) / (1e-12L + loss))));
        for (std::size_t k = 0; k<outputs; k += outputs> 100 ? 97 : 1) {
          const long double step = 1e-5L * (1 + std::abs(row[k]) * 1e-3L), at = row[k];
          row[k] = at + step;
          const long double above = c.reference(row, labels[i], c.smoothing);
          row[k] = at - step;
          const long double below = c.reference(row, labels[i], c.smoothing);
          row[k] = at;
          const long double numerical = (above - below) / (2 * step * batch);
          worst_gradient =
              std::max(worst_gradient, std::abs(static_cast<double>(result.gradients[i * outputs + k] - numerical)) /
                                           (1 + std::abs(static_cast<double>(numerical))));
        }
      }
      CHECK(worst_loss < 1e-6);
      CHECK(worst_gradient < 1e-8 + 1e-7 * (c.reference == squared ? scale / batch : 0.01));
    }
}

TEST_CASE("values computed by hand") {
  const float logits[] = {1.0f, 2.0f, 3.0f};
  const std::int32_t last[] = {2}, first[] = {0};
  CHECK(run(*make("softmax_cross_entropy"), 3, logits, last, 1).losses[0] ==
        doctest::Approx(0.40760596f).epsilon(1e-6));
  // -(0.9 log p_2 + 0.1/3 (log p_0 + log p_1 + log p_2))
  CHECK(run(*make("softmax_cross_entropy", 0.1), 3, logits, last, 1).losses[0] ==
        doctest::Approx(0.50760596f).epsilon(1e-6));
  const float half[] = {0.0f};
  const Result even = run(*make("binary_cross_entropy"), 1, half, first, 4);
  CHECK(even.losses[0] == doctest::Approx(0.69314718f).epsilon(1e-7));
  CHECK(even.gradients[0] == 0.125f);
  const float two[] = {0.5f, 2.0f};
  const Result squares = run(*make("mean_squared_error"), 2, two, first, 2);
  CHECK(squares.losses[0] == 2.125f);  // (0.25 + 4) / 2
  CHECK(squares.gradients == std::vector<float>{-0.25f, 1.0f});
}

TEST_CASE("huge outputs: finite losses where they are finite, no NaN") {
  const std::int32_t zero[] = {0}, one[] = {1};
  const float certain[] = {1e30f, -1e30f};
  const auto cross = make("softmax_cross_entropy");
  CHECK(run(*cross, 2, certain, zero, 1).losses[0] == 0.0f);
  CHECK(run(*cross, 2, certain, one, 1).losses[0] == 2e30f);
  CHECK(run(*cross, 2, certain, one, 1).gradients == std::vector<float>{1.0f, -1.0f});
  const auto pair = make("binary_cross_entropy");
  for (const float z : {1e30f, 800.0f, 90.0f}) {
    const float positive[] = {z}, negative[] = {-z};
    CHECK(run(*pair, 1, positive, one, 1).losses[0] < 1e-38f);
    CHECK(run(*pair, 1, positive, zero, 1).losses[0] == z);
    CHECK(run(*pair, 1, positive, zero, 1).gradients[0] == 1.0f);
    CHECK(run(*pair, 1, negative, one, 1).losses[0] == z);
    CHECK(run(*pair, 1, negative, one, 1).gradients[0] == -1.0f);
    CHECK(run(*pair, 1, negative, zero, 1).losses[0] < 1e-38f);
  }
}

TEST_CASE("a small loss keeps its digits") {
  const float sure[] = {30.0f}, both[] = {0.0f, 30.0f};
  const std::int32_t one[] = {1};
  CHECK(run(*make("softmax_cross_entropy"), 2, both, one, 1).losses[0] == doctest::Approx(9.3576e-14).epsilon(1e-4));
  CHECK(run(*make("binary_cross_entropy"), 1, sure, one, 1).losses[0] == doctest::Approx(9.3576e-14).epsilon(1e-4));
  CHECK(run(*make("binary_cross_entropy"), 1, sure, one, 1).gradients[0] == doctest::Approx(-9.3576e-14).epsilon(1e-4));
}

TEST_CASE("NaN and infinity in any output make the image's loss not finite, and no other image's") {
  for (const Case& c : cases)
    for (const float bad : {not_a_number, infinity})
      for (std::int64_t place = 0; place < std::min<std::int64_t>(c.outputs, 10); ++place) {
        CAPTURE(std::string(c.name));
        CAPTURE(place);
        const auto outputs = static_cast<std::size_t>(c.outputs);
        std::vector<float> output = normal_values(3 * outputs, 1.0f, 12);
        output[outputs + static_cast<std::size_t>(place)] = bad;
        const std::int32_t labels[] = {0, 0, 1 % static_cast<std::int32_t>(c.classes)};
        const Result result = run(*make(c.name, c.smoothing), c.outputs, output, labels, 3);
        CHECK(std::isfinite(result.losses[0]));
        CHECK_FALSE(std::isfinite(result.losses[1]));
        CHECK(std::isfinite(result.losses[2]));
        CHECK(result.predicted[1] >= 0);
        CHECK(result.predicted[1] < c.classes);
      }
}

TEST_CASE("micro-batches of unequal size: their gradients and losses are the batch's, bit for bit") {
  CuttingQueue cutting;
  WorkQueue* cut_queue = device_under_test().kind() == DeviceKind::cpu ? &cutting : nullptr;
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    const std::size_t images = 4097;
    if (c.outputs > 10) continue;
    const auto outputs = static_cast<std::size_t>(c.outputs);
    const std::vector<float> output = normal_values(images * outputs, 2.0f, 13);
    const auto labels = random_labels(images, c.classes);
    const auto loss = make(c.name, c.smoothing);
    const Result whole = run(*loss, c.outputs, output, labels, images);
    const Result cut = run(*loss, c.outputs, output, labels, images, cut_queue);
    CHECK(same_bits(whole.losses, cut.losses));
    CHECK(same_bits(whole.gradients, cut.gradients));
    CHECK(whole.predicted == cut.predicted);
    for (std::size_t begin = 0, size = 1; begin < images; begin += size, size = std::min(size * 3, images - begin)) {
      const Result part = run(*loss, c.outputs, std::span(output).subspan(begin * outputs, size * outputs),
                              std::span(labels).subspan(begin, size), images);
      CHECK(same_bits(part.losses, std::span(whole.losses).subspan(begin, size)));
      CHECK(same_bits(part.gradients, std::span(whole.gradients).subspan(begin * outputs, size * outputs)));
    }
    const Result inferred = run(*loss, c.outputs, output, labels, images, nullptr, false);
    CHECK(same_bits(inferred.losses, whole.losses));
    CHECK(inferred.predicted == whole.predicted);
    CHECK(std::all_of(inferred.gradients.begin(), inferred.gradients.end(), [](float g) { return g == 77.0f; }));
  }
}

TEST_CASE("the gradient is that of the mean over the batch") {
  // Directional derivative of the mean loss of all images, by differences, against the gradients.
  for (const Case& c : cases) {
    CAPTURE(std::string(c.name));
    const std::size_t images = 5, outputs = static_cast<std::size_t>(c.outputs);
    const std::vector<float> output = normal_values(images * outputs, 1.0f, 14);
    const std::vector<float> direction = normal_values(images * outputs, 1.0f, 15);
    const auto labels = random_labels(images, c.classes);
    const Result result = run(*make(c.name, c.smoothing), c.outputs, output, labels, images);
    const auto mean = [&](long double step) {
      long double sum = 0;
      for (std::size_t i = 0; i < images; ++i) {
        std::vector<long double> row(outputs);
        for (std::size_t k = 0; k < outputs; ++k) row[k] = output[i * outputs + k] + step * direction[i * outputs + k];
        sum += c.reference(row, labels[i], c.smoothing);
      }
      return sum / images;
    };
    double slope = 0;
    for (std::size_t i = 0; i < output.size(); ++i) slope += static_cast<double>(result.gradients[i]) * direction[i];
    const auto numerical = static_cast<double>((mean(1e-5L) - mean(-1e-5L)) / 2e-5L);
    CHECK(slope == doctest::Approx(numerical).epsilon(1e-6));
  }
}

TEST_CASE("the predicted class: the largest output, the first of equals; one output: class 1 from p = 0.5 on") {
  const std::int32_t label[] = {0};
  const auto predicted = [&](const char* name, std::vector<float> output) {
    return run(*make(name), static_cast<std::int64_t>(output.size()), output, label, 1).predicted[0];
  };
  for (const char* name : {"softmax_cross_entropy", "mean_squared_error"}) {
    CHECK(predicted(name, {1, 3, 3, 2}) == 1);
    CHECK(predicted(name, {5, 5, 5}) == 0);
    CHECK(predicted(name, {-3, -2}) == 1);
    CHECK(predicted(name, {not_a_number, 1, 2}) == 2);
    CHECK(predicted(name, {1, not_a_number, 0}) == 0);
  }
  CHECK(predicted("binary_cross_entropy", {0.0f}) == 1);
  CHECK(predicted("binary_cross_entropy", {-1e-6f}) == 0);
  CHECK(predicted("mean_squared_error", {0.5f}) == 1);
  CHECK(predicted("mean_squared_error", {0.499f}) == 0);
}

TEST_CASE("probabilities") {
  float two[2], three[3];
  make("softmax_cross_entropy")->probabilities(std::vector<float>{1.0f, 2.0f, 3.0f}, three);
  CHECK(three[0] == doctest::Approx(0.09003057));
  CHECK(three[1] == doctest::Approx(0.24472847));
  CHECK(three[2] == doctest::Approx(0.66524096));
  make("softmax_cross_entropy")->probabilities(std::vector<float>{1e30f, 0.0f, -1e30f}, three);
  CHECK(std::vector<float>(three, three + 3) == std::vector<float>{1.0f, 0.0f, 0.0f});
  make("binary_cross_entropy")->probabilities(std::vector<float>{2.0f}, two);
  CHECK(two[0] == doctest::Approx(0.11920292));
  CHECK(two[1] == doctest::Approx(0.88079708));
  make("binary_cross_entropy")->probabilities(std::vector<float>{60.0f}, two);
  CHECK(two[0] == doctest::Approx(8.756511e-27).epsilon(1e-5));
  make("mean_squared_error")->probabilities(std::vector<float>{0.25f}, two);
  CHECK(two[0] == 0.75f);
  CHECK(two[1] == 0.25f);
  make("mean_squared_error")->probabilities(std::vector<float>{0.5f, -1.0f, 2.0f}, three);
  CHECK(std::vector<float>(three, three + 3) == std::vector<float>{0.5f, -1.0f, 2.0f});
}

TEST_CASE("a loss says what output it needs") {
  const auto cross = make("softmax_cross_entropy"), pair = make("binary_cross_entropy"),
             squares = make("mean_squared_error");
  CHECK(cross->mismatch({10}, 10).empty());
  CHECK(cross->mismatch({84}, 10) == "softmax_cross_entropy needs one output a class: 10, got 84");
  CHECK(cross->mismatch({10, 5, 5}, 10) == "softmax_cross_entropy needs one output a class: 10, got 10x5x5");
  CHECK(cross->mismatch({1, 1, 10}, 10) == "softmax_cross_entropy needs one output a class: 10, got 1x1x10");
  CHECK(pair->mismatch({1}, 2).empty());
  CHECK(pair->mismatch({2}, 2) == "binary_cross_entropy needs 1 output (the logit of the second class), got 2");
  CHECK(pair->mismatch({1}, 10) ==
        "binary_cross_entropy tells 2 classes apart, and the data have 10; softmax_cross_entropy takes any number");
  CHECK(squares->mismatch({10}, 10).empty());
  CHECK(squares->mismatch({1}, 2).empty());
  CHECK(squares->mismatch({2}, 2).empty());
  CHECK(squares->mismatch({1}, 10) == "mean_squared_error needs one output a class: 10, got 1");
  CHECK(squares->mismatch({3}, 2) == "mean_squared_error needs one output a class: 2 (or 1), got 3");
}
