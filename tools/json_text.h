#pragma once

#include <json/value.h>

#include <string>
#include <vector>

namespace lenet_flow {

/// A number, or null where it is not known.
Json::Value json_number(double value);
Json::Value json_list(const std::vector<std::string>& values);
/// Indented text with a line feed at its end; every double comes back as it was.
std::string json_text(const Json::Value& json);

}  // namespace lenet_flow
