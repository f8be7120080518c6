#include "engine/trace/chrome/trace_event_writer.h"

#include <fmt/format.h>
#include <json/json.h>

#include <iterator>
#include <utility>

namespace lenet_flow {
namespace {

constexpr std::size_t piece_bytes = std::size_t{1} << 16;

}  // namespace

std::string json_quoted(const std::string& text) { return Json::valueToQuotedString(text.c_str()); }

TraceEventWriter::TraceEventWriter(Write write) : write_(std::move(write)) {
  buffer_ = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n";
}

void TraceEventWriter::metadata(const char* what, Track track, const std::string& value) {
  buffer_ += first_ ? "" : ",\n";
  first_ = false;
  fmt::format_to(std::back_inserter(buffer_), R"({{"ph":"M","pid":{},"tid":{},"name":"{}","args":{{{}}}}})",
                 track.process, track.thread, what, value);
}

void TraceEventWriter::name_process(int process, const std::string& name) {
  metadata("process_name", {process, 0}, "\"name\":" + json_quoted(name));
  metadata("process_sort_index", {process, 0}, fmt::format("\"sort_index\":{}", process));
}

void TraceEventWriter::name_track(Track track, const std::string& name, int order) {
  metadata("thread_name", track, "\"name\":" + json_quoted(name));
  metadata("thread_sort_index", track, fmt::format("\"sort_index\":{}", order));
}

void TraceEventWriter::open_event(char phase, Track track, Nanoseconds time) {
  buffer_ += first_ ? "" : ",\n";
  first_ = false;
  const Nanoseconds at = time - origin_;
  fmt::format_to(std::back_inserter(buffer_), R"({{"ph":"{}","pid":{},"tid":{},"ts":{}.{:03})", phase, track.process,
                 track.thread, at / 1000, at % 1000);
}

void TraceEventWriter::close_event() {
  buffer_ += '}';
  ++events_;
  if (buffer_.size() < piece_bytes) return;
  write_(buffer_);
  buffer_.clear();
}

void TraceEventWriter::begin(Track track, Nanoseconds time, std::string_view name, std::string_view category,
                             std::string_view arguments, std::string_view color) {
  open_event('B', track, time);
  fmt::format_to(std::back_inserter(buffer_), R"(,"name":{},"cat":"{}")", json_quoted(std::string(name)), category);
  if (!color.empty()) fmt::format_to(std::back_inserter(buffer_), R"(,"cname":"{}")", color);
  if (!arguments.empty()) fmt::format_to(std::back_inserter(buffer_), R"(,"args":{{{}}})", arguments);
  close_event();
}

void TraceEventWriter::end(Track track, Nanoseconds time) {
  open_event('E', track, time);
  close_event();
}

void TraceEventWriter::slice(Track track, Nanoseconds from, Nanoseconds until, std::string_view name,
                             std::string_view category, std::string_view arguments, std::string_view color) {
  begin(track, from, name, category, arguments, color);
  end(track, until);
}

void TraceEventWriter::instant(Track track, Nanoseconds time, std::string_view name, std::string_view arguments) {
  open_event('i', track, time);
  fmt::format_to(std::back_inserter(buffer_), R"(,"s":"t","name":"{}","args":{{{}}})", name, arguments);
  close_event();
}

void TraceEventWriter::counter(int process, Nanoseconds time, std::string_view name, std::string_view unit,
                               double value) {
  open_event('C', {process, 0}, time);
  fmt::format_to(std::back_inserter(buffer_), R"(,"name":{},"args":{{"{}":{}}})", json_quoted(std::string(name)), unit,
                 value);
  close_event();
}

void TraceEventWriter::arrow(char phase, Track track, Nanoseconds time, std::int64_t id) {
  open_event(phase, track, time);
  fmt::format_to(std::back_inserter(buffer_), R"(,"name":"micro-batch","cat":"micro-batch","id":{},"bp":"e")", id);
  close_event();
}

void TraceEventWriter::finish(std::string_view other_data) {
  buffer_ += "\n], \"otherData\": ";
  buffer_ += other_data;
  buffer_ += "}\n";
  write_(buffer_);
  buffer_.clear();
}

}  // namespace lenet_flow
