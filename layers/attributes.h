#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace lenet_flow {

/// A size in rows and columns: a kernel of 5 is {5, 5}.
struct Extent {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool operator==(const Extent&) const = default;
};

/// Zero padding around an image: a size, or a rule. The same on opposite sides; "same" may put one more at the
/// bottom and right (as PyTorch and TensorFlow do).
struct Padding {
  enum class Rule {
    size,   ///< `extent` on each side
    same,   ///< output size = input size / stride, rounded up
    valid,  ///< none
  };
  Rule rule = Rule::size;
  Extent extent;
  bool operator==(const Padding&) const = default;
};

/// What a graph file may write for an attribute.
enum class AttributeKind {
  integer,  ///< whole number in [minimum, maximum]
  number,   ///< finite number in [minimum, maximum] (with the ends left out where `open` says so)
  boolean,  ///< true or false
  extent,   ///< n or [h, w], each in [minimum, maximum]
  padding,  ///< n, [h, w], "same" or "valid"
  choice,   ///< one of `choices`
  numbers,  ///< a number, or a list of up to maximum_numbers of them (one a channel), each in [minimum, maximum]
};

/// The longest list that AttributeKind::numbers takes.
inline constexpr std::size_t maximum_numbers = 4096;

using AttributeValue =
    std::variant<std::monostate, std::int64_t, double, bool, Extent, Padding, std::string, std::vector<double>>;

/// One attribute of a layer type, loss, optimizer, learning-rate schedule, preprocessing or augmentation step: data
/// from which the graph file is checked, the JSON schema is made and the help is printed.
struct AttributeSpec {
  std::string name;
  AttributeKind kind = AttributeKind::integer;
  std::string help;              ///< one line, for editors and documentation
  AttributeValue default_value;  ///< monostate: the attribute must be given
  double minimum = 0;
  double maximum = std::numeric_limits<double>::max();
  bool open_minimum = false;  ///< the minimum itself is not allowed
  bool open_maximum = false;
  std::vector<std::string> choices = {};
};

/// The checked attributes of one object of the graph file, defaults filled in. The getters throw std::out_of_range
/// (a programmer's error) for a name or kind that the type did not declare.
class Attributes {
 public:
  void set(std::string name, AttributeValue value) { values_[std::move(name)] = std::move(value); }
  /// False too where what the file said was wrong.
  bool has(std::string_view name) const {
    const auto found = values_.find(name);
    return found != values_.end() && !std::holds_alternative<std::monostate>(found->second);
  }

  std::int64_t integer(std::string_view name) const { return get<std::int64_t>(name); }
  double number(std::string_view name) const { return get<double>(name); }
  bool boolean(std::string_view name) const { return get<bool>(name); }
  Extent extent(std::string_view name) const { return get<Extent>(name); }
  Padding padding(std::string_view name) const { return get<Padding>(name); }
  const std::string& choice(std::string_view name) const { return get<std::string>(name); }
  /// One for all channels, or one a channel; never empty.
  const std::vector<double>& numbers(std::string_view name) const { return get<std::vector<double>>(name); }

 private:
  template <typename T>
  const T& get(std::string_view name) const {
    const auto found = values_.find(name);
    if (found == values_.end() || !std::holds_alternative<T>(found->second))
      throw std::out_of_range("no attribute '" + std::string(name) + "' of that kind");
    return std::get<T>(found->second);
  }

  std::map<std::string, AttributeValue, std::less<>> values_;
};

}  // namespace lenet_flow
