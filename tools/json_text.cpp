#include "tools/json_text.h"

#include <json/writer.h>

#include <cmath>

namespace lenet_flow {

Json::Value json_number(double value) { return std::isfinite(value) ? Json::Value(value) : Json::Value(); }

Json::Value json_list(const std::vector<std::string>& values) {
  Json::Value list(Json::arrayValue);
  for (const std::string& value : values) list.append(value);
  return list;
}

std::string json_text(const Json::Value& json) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "  ";
  builder["emitUTF8"] = true;
  builder["precision"] = 17;
  return Json::writeString(builder, json) + "\n";
}

}  // namespace lenet_flow
