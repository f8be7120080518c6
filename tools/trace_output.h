#pragma once

#include <CLI/App.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "engine/pipeline/pipeline.h"
#include "engine/trace/chrome/chrome_trace.h"
#include "engine/trace/chrome/gzip_writer.h"
#include "engine/training/trainer.h"
#include "tools/output_file.h"

namespace lenet_flow {

/// --trace, --trace-steps and --sample as typed.
struct TraceArguments {
  std::string file;
  std::optional<std::string> steps, sample;
};

/// Adds the three, which write to `arguments` while the command line is read.
void add_trace_options(CLI::App& command, TraceArguments& arguments);

/// The file of --trace: a Perfetto/Chrome trace, gzipped where the name ends in .gz. Tried before the run begins,
/// written while it goes on. It gets its name when it is whole, also where the run fails or is interrupted: then it
/// holds what was traced until then.
class TraceOutput {
 public:
  /// Sets RunOptions::opened, so this must outlive the run. Throws InputError where the file could not be written.
  TraceOutput(const TraceArguments& arguments, RunOptions& options);
  /// Of a run that has thrown: writes what there is.
  ~TraceOutput();
  TraceOutput(const TraceOutput&) = delete;
  TraceOutput& operator=(const TraceOutput&) = delete;

  bool asked() const { return output_.has_value(); }
  /// Ends the file and tells `result` of it. Throws std::system_error where something could not be written.
  void write(RunResult& result);
  /// After write(): "traced 200 of 938 batches (the first 200) to trace.json".
  std::string text() const;

 private:
  void trace(Pipeline& pipeline);
  void take(std::string_view content);
  void finish();

  std::optional<OutputFile> output_;
  BatchSample sample_;
  std::unique_ptr<OutputStream> stream_;
  std::unique_ptr<GzipWriter> gzip_;
  std::unique_ptr<ChromeTrace> trace_;
  ChromeTrace::Facts facts_;
  std::exception_ptr failure_;  ///< the first: writing stops, the run goes on
};

}  // namespace lenet_flow
