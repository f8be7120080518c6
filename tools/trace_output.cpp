#include "tools/trace_output.h"

#include <CLI/CLI.hpp>

#include "engine/training/version.h"
#include "tools/graph_options.h"
#include "tools/terminal.h"

namespace lenet_flow {

void add_trace_options(CLI::App& command, TraceArguments& arguments) {
  auto* trace = command
                    .add_option("--trace", arguments.file,
                                "a trace for ui.perfetto.dev or chrome://tracing; gzipped where the name ends in .gz")
                    ->option_text("FILE")
                    ->check([](const std::string& name) { return name.empty() ? "expected the name of a file" : ""; });
  command.add_option("--trace-steps", arguments.steps, "trace N batches at most (default 200)")
      ->option_text("N")
      ->check(whole_number(1, 1'000'000'000))
      ->needs(trace);
  command.add_option("--sample", arguments.sample, "trace every Nth batch only")
      ->option_text("N")
      ->check(whole_number(1, 1'000'000'000))
      ->needs(trace);
}

TraceOutput::TraceOutput(const TraceArguments& arguments, RunOptions& options) {
  if (arguments.file.empty()) return;
  if (arguments.steps) sample_.most = std::stoll(*arguments.steps);
  if (arguments.sample) sample_.every = std::stoll(*arguments.sample);
  output_.emplace("--trace", arguments.file);
  stream_ = output_->open();
  if (output_->path().extension() == ".gz")
    gzip_ = std::make_unique<GzipWriter>([this](std::string_view bytes) { stream_->write(bytes); });
  options.opened = [this](Pipeline& pipeline) { trace(pipeline); };
}

TraceOutput::~TraceOutput() {
  if (!stream_ || !trace_) return;
  try {
    finish();
    print_error("lenet-flow: " + text() + "\n");
  } catch (const std::exception&) {  // the run's own failure is told; an unfinished file is gone
  }
}

void TraceOutput::trace(Pipeline& pipeline) {
  std::string injected;
  for (const InjectedResult& delay : pipeline.delays().results)
    injected += (injected.empty() ? "" : ", ") + json_quoted(delay.text);
  facts_ = {{"program", json_quoted("lenet-flow " LENET_FLOW_VERSION)},
            {"command", json_quoted(command_line())},
            {"clock", json_quoted(clock_source())},
            {"injected", "[" + injected + "]"}};
  trace_ =
      std::make_unique<ChromeTrace>(pipeline.traced(), sample_, [this](std::string_view content) { take(content); });
  pipeline.collector().add_sink(*trace_);
}

void TraceOutput::take(std::string_view content) {
  if (failure_) return;
  try {
    if (gzip_)
      gzip_->write(content);
    else
      stream_->write(content);
  } catch (const std::exception&) {
    failure_ = std::current_exception();
  }
}

void TraceOutput::finish() {
  trace_->finish(facts_);
  if (failure_) std::rethrow_exception(failure_);
  if (gzip_) gzip_->finish();
  stream_->finish();
  stream_.reset();
}

void TraceOutput::write(RunResult& result) {
  if (!asked()) return;
  finish();
  result.trace.file = output_->path().string();
  result.trace.coverage = trace_->coverage();
}

std::string TraceOutput::text() const {
  return "traced " + coverage_text(trace_->coverage()) + " to " + output_->path().string();
}

}  // namespace lenet_flow
