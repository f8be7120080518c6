#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/trace/clock.h"

namespace lenet_flow {

/// `text` as a JSON string, quoted.
std::string json_quoted(const std::string& text);

/// Writes the JSON of a trace in the Trace Event Format ("Trace Event Format", Google, 2016), event by event. Slices
/// are pairs of B and E rather than X with a duration: a reader that rounds times rounds both alike, so that slices
/// that touch never overlap. Times are printed in microseconds with all nanoseconds, from the first one given.
class TraceEventWriter {
 public:
  /// A track: a thread of a process, in the format's words.
  struct Track {
    int process = 1, thread = 1;
  };
  using Write = std::function<void(std::string_view)>;

  /// `write` gets the text piece by piece.
  explicit TraceEventWriter(Write write);

  /// Times are counted from here.
  void set_origin(Nanoseconds origin) { origin_ = origin; }
  void name_process(int process, const std::string& name);
  void name_track(Track track, const std::string& name, int order);

  /// `arguments`: the inside of a JSON object, or empty. Slices of a track come in the order of time, inner ones
  /// between begin() and end() of the outer.
  void begin(Track track, Nanoseconds time, std::string_view name, std::string_view category,
             std::string_view arguments = {}, std::string_view color = {});
  void end(Track track, Nanoseconds time);
  void slice(Track track, Nanoseconds from, Nanoseconds until, std::string_view name, std::string_view category,
             std::string_view arguments = {}, std::string_view color = {});
  void instant(Track track, Nanoseconds time, std::string_view name, std::string_view arguments);
  /// Perfetto calls it by name and unit.
  void counter(int process, Nanoseconds time, std::string_view name, std::string_view unit, double value);
  /// One point of an arrow: `phase` s where it starts, t on its way, f where it ends. Binds to the slice around it.
  void arrow(char phase, Track track, Nanoseconds time, std::int64_t id);

  /// Ends the list of events and the whole; `other_data`: a JSON object. Nothing may be written after that.
  void finish(std::string_view other_data);

  /// Written so far, names left out.
  std::uint64_t events() const { return events_; }

 private:
  void open_event(char phase, Track track, Nanoseconds time);
  void close_event();
  void metadata(const char* what, Track track, const std::string& value);

  Write write_;
  std::string buffer_;
  Nanoseconds origin_ = 0;
  std::uint64_t events_ = 0;
  bool first_ = true;
};

}  // namespace lenet_flow
