#include "tests/layers/reference/reference.h"

namespace lenet_flow::test {
namespace {

std::map<std::string, Reference, std::less<>>& references() {
  static std::map<std::string, Reference, std::less<>> all;
  return all;
}

}  // namespace

RegisterReference::RegisterReference(std::string type, Reference reference) {
  references().insert_or_assign(std::move(type), std::move(reference));
}

const Reference* find_reference(std::string_view type) {
  const auto found = references().find(type);
  return found == references().end() ? nullptr : &found->second;
}

}  // namespace lenet_flow::test
