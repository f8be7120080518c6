#include <doctest/doctest.h>

#include <string>

#include "layers/window.h"
#include "tests/layers/layer_case.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

using Given = std::map<std::string, AttributeValue>;

/// The message of the ShapeError, or the output shape where there is none.
std::string outcome(const char* type, const Given& given, const std::vector<Shape>& inputs) {
  try {
    return "fits: " + make_case(*find_layer_type(type), given, inputs, 1).output.text();
  } catch (const ShapeError& error) {
    return error.what();
  }
}

bool mentions(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words)
    if (text.find(word) == std::string::npos) {
      MESSAGE(text);
      return false;
    }
  return true;
}

AttributeValue whole(std::int64_t number) { return number; }
AttributeValue pad(std::int64_t size) { return Padding{Padding::Rule::size, {size, size}}; }

}  // namespace

TEST_CASE("output shapes are PyTorch's") {
  const Given lenet{{"out_channels", whole(6)}, {"kernel", Extent{5, 5}}};
  CHECK(outcome("conv2d", lenet, {{1, 28, 28}}) == "fits: 6x24x24");
  Given padded = lenet;
  padded["padding"] = pad(2);
  CHECK(outcome("conv2d", padded, {{1, 28, 28}}) == "fits: 6x28x28");
  const Given strided{
      {"out_channels", whole(7)}, {"kernel", Extent{3, 3}}, {"stride", Extent{2, 2}}, {"padding", pad(1)}};
  CHECK(outcome("conv2d", strided, {{3, 224, 225}}) == "fits: 7x112x113");
  // ceil_mode false: the last row and column fall away.
  CHECK(outcome("max_pool", {{"kernel", Extent{2, 2}}}, {{4, 47, 5}}) == "fits: 4x23x2");
  CHECK(outcome("avg_pool", {{"kernel", Extent{3, 2}}, {"stride", Extent{1, 1}}}, {{4, 7, 5}}) == "fits: 4x5x4");
  CHECK(outcome("global_avg_pool", {}, {{4, 7, 5}}) == "fits: 4");
  CHECK(outcome("flatten", {}, {{16, 5, 5}}) == "fits: 400");
  CHECK(outcome("dense", {{"out_features", whole(10)}}, {{400, 1, 1}}) == "fits: 10");
  CHECK(outcome("concat", {}, {{2, 5, 5}, {3, 5, 5}, {1, 5, 5}}) == "fits: 6x5x5");
  CHECK(outcome("add", {}, {{2, 5, 5}, {2, 5, 5}}) == "fits: 2x5x5");
}

TEST_CASE("\"same\" keeps input / stride, rounded up; the odd row goes below") {
  for (const std::int64_t stride : {1, 2, 3, 5})
    for (const std::int64_t size : {1, 2, 7, 8, 9}) {
      const Window window = fit_window({1, size, size + 1}, {4, 3}, {stride, 1}, {1, 1}, {Padding::Rule::same, {}});
      CHECK(window.output.height == (size + stride - 1) / stride);
      CHECK(window.output.width == size + 1);
      CHECK((window.after.height == window.before.height || window.after.height == window.before.height + 1));
      CHECK(window.before.width == 1);
      CHECK(window.after.width == 1);
    }
  CHECK(fit_window({1, 9, 9}, {3, 3}, {1, 1}, {2, 4}, {Padding::Rule::same, {}}).before == Extent{2, 4});
}

TEST_CASE("what does not fit is told with its numbers and with what would fit") {
  const Given conv{{"out_channels", whole(6)}, {"kernel", Extent{5, 7}}};
  CHECK(mentions(outcome("conv2d", conv, {{1, 4, 9}}), {"5x7", "4x9", "at most 4x7", "at least 1x0"}));
  Given dilated = conv;
  dilated["dilation"] = Extent{3, 1};
  dilated["padding"] = pad(1);
  CHECK(mentions(outcome("conv2d", dilated, {{1, 9, 9}}), {"13x7", "padded to 11x11", "at most 4x7", "at least 2x0"}));
  Given grouped = conv;
  grouped["groups"] = whole(4);
  CHECK(mentions(outcome("conv2d", grouped, {{8, 9, 9}}), {"6", "4 groups", "8 channels"}));
  CHECK(mentions(outcome("conv2d", grouped, {{7, 9, 9}}), {"7 input channels", "4 groups"}));
  CHECK(mentions(outcome("max_pool", {{"kernel", Extent{2, 2}}}, {{4, 1, 9}}), {"2x2", "1x9", "at most 1x2"}));
  CHECK(mentions(outcome("max_pool", {{"kernel", Extent{3, 3}}, {"padding", Extent{2, 0}}}, {{4, 9, 9}}),
                 {"2x0", "3x3", "at most 1x1"}));
  CHECK(mentions(outcome("dense", {{"out_features", whole(10)}}, {{16, 5, 5}}), {"16x5x5", "flatten", "400"}));
  CHECK(mentions(outcome("add", {}, {{2, 5, 5}, {2, 5, 5}, {2, 5, 4}}), {"2x5x5", "2x5x4"}));
  CHECK(mentions(outcome("concat", {}, {{2, 5, 5}, {1, 5, 4}}), {"5x5", "5x4"}));
}

TEST_CASE("absurd sizes end in a message, not in an overflow") {
  const Shape large{46340, 46340, 1};  // just below 2^31 elements
  CHECK(mentions(outcome("conv2d", {{"out_channels", whole(1 << 20)}, {"kernel", Extent{1, 1}}}, {{4096, 1, 1}}),
                 {"too large", "2147483647"}));
  CHECK(mentions(outcome("conv2d", {{"out_channels", whole(1 << 20)}, {"kernel", Extent{1, 1}}}, {{1, 1000, 1000}}),
                 {"too large"}));
  CHECK(mentions(outcome("conv2d",
                         {{"out_channels", whole(1 << 20)},
                          {"kernel", Extent{32768, 32768}},
                          {"padding", pad(32768)},
                          {"dilation", Extent{32768, 32768}}},
                         {{1 << 20, 1, 1}}),
                 {"too large"}));
  CHECK(mentions(
      outcome("conv2d", {{"out_channels", whole(1)}, {"kernel", Extent{1, 1}}, {"padding", pad(32768)}}, {{1, 1, 1}}),
      {"too large"}));
  CHECK(mentions(outcome("dense", {{"out_features", whole(1 << 24)}}, {{1 << 20, 1, 1}}), {"too large"}));
  CHECK(mentions(outcome("concat", {}, {large, large}), {"too large"}));
}

TEST_CASE("positions_inside counts the positions whose tap reads the image") {
  for (const std::int64_t stride : {1, 2, 3})
    for (const std::int64_t dilation : {1, 2})
      for (const std::int64_t before : {0, 1, 4})
        for (const std::int64_t input : {1, 3, 8})
          for (const std::int64_t output : {1, 2, 5})
            for (std::int64_t tap = 0; tap < 4; ++tap) {
              const PositionRange range = positions_inside(tap, stride, dilation, before, input, output);
              CHECK(range.begin <= range.end);
              CHECK(range.end <= output);
              for (std::int64_t position = 0; position < output; ++position) {
                const std::int64_t at = position * stride + tap * dilation - before;
                CHECK((at >= 0 && at < input) == (position >= range.begin && position < range.end));
              }
            }
}
