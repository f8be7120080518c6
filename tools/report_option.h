#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>

#include "engine/training/trainer.h"
#include "tools/output_file.h"

namespace lenet_flow {

/// Adds --report, which writes to `file` while the command line is read.
void add_report_option(CLI::App& command, std::string& file);

/// The page of --report: made when the run is over, written when the command says so.
class ReportOutput {
 public:
  /// `file`: as typed; empty: no report. Sets RunOptions::ended to keep the page here, so this must stay where it is
  /// until the run is over. Throws InputError where the file could not be written.
  ReportOutput(const std::string& file, RunOptions& options);
  ReportOutput(const ReportOutput&) = delete;
  ReportOutput& operator=(const ReportOutput&) = delete;

  /// Throws std::system_error.
  void write() const;

 private:
  std::optional<OutputFile> file_;
  std::string page_;
};

}  // namespace lenet_flow
