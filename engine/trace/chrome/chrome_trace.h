#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/trace/chrome/counter_line.h"
#include "engine/trace/chrome/trace_event_writer.h"
#include "engine/trace/record.h"
#include "engine/trace/sampling.h"
#include "engine/trace/stage_clock.h"

namespace lenet_flow {

/// Writes what is traced as JSON for Perfetto (ui.perfetto.dev) and chrome://tracing, as it comes. Three processes:
///
///     stages    a track a unit: the state that it is in, by the rule of the accounts; arrows follow each micro-batch
///               through the stages and back; counters of links, of micro-batches in flight, of images a second
///     devices   a track a device: its actions with their layers inside, and when its host thread sleeps; the
///               activations that it holds
///     reader    what it read for which micro-batch, on as many tracks as it read at a time
///
/// Only the batches that `sample` takes; counters are right there and keep their last value between.
class ChromeTrace final : public TraceSink {
 public:
  /// Facts for the file's "otherData": key and JSON value.
  using Facts = std::vector<std::pair<std::string, std::string>>;

  /// `pipeline` is copied.
  ChromeTrace(const TracedPipeline& pipeline, const BatchSample& sample, TraceEventWriter::Write write);
  ChromeTrace(const ChromeTrace&) = delete;
  ChromeTrace& operator=(const ChromeTrace&) = delete;

  void begin_pass(const PassTrace& pass) override;
  void on_action(const ActionRecord& action) override;
  void on_lost(int device, Nanoseconds from, Nanoseconds until) override;
  void on_sleep(int device, Nanoseconds from, Nanoseconds until) override;
  void end_pass(const PassEnd& end) override;

  /// Ends the file: it is whole then, also where the last pass was not ended. Nothing may come after that.
  void finish(const Facts& facts);
  TraceCoverage coverage() const;

 private:
  using Track = TraceEventWriter::Track;
  struct ArrowPoint {
    Nanoseconds time = 0;
    Track track;
  };

  void name_tracks();
  bool takes(std::int64_t batch) const { return sample_.takes(first_batch_ + batch); }
  Track unit_track(int unit) const;
  Track device_track(int device) const;
  std::string arguments_of(const ActionRecord& action) const;
  void write_states(const ActionRecord& action);
  void write_state(StallState state, Nanoseconds from, Nanoseconds until, const ActionRecord& action);
  void write_action(const ActionRecord& action);
  void write_read(const ActionRecord& action);
  void write_copy_and_steps(const ActionRecord& action);
  void add_to_arrow(const ActionRecord& action);
  void write_arrow(std::int64_t micro_batch, std::vector<ArrowPoint>& points);
  void close_pass();

  TracedPipeline pipeline_;
  BatchSample sample_;
  TraceEventWriter writer_;
  CounterLine counters_;
  std::vector<StageClock> clocks_;                          ///< one a unit
  std::vector<std::int64_t> device_batch_;                  ///< batch of the device's last action in this pass
  std::vector<Nanoseconds> reader_free_;                    ///< one a track of the reader: end of its last slice
  std::map<std::int64_t, std::vector<ArrowPoint>> arrows_;  ///< by micro-batch of the pass: of those on their way
  int first_entry_stage_ = 0;
  PassTrace pass_;
  bool in_pass_ = false, named_ = false;
  std::int64_t first_batch_ = 0, first_micro_batch_ = 0;  ///< of the pass, in the run
  std::int64_t newest_batch_ = -1;                        ///< of the run, that was taken
  TraceCoverage coverage_;
};

}  // namespace lenet_flow
