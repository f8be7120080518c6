#include <algorithm>

#include "engine/training/progress.h"
#include "engine/training/session.h"

namespace lenet_flow {
namespace {

/// Probabilities of every class for every image: [image][class].
std::vector<float> probabilities(const Session& session, const Pipeline& pipeline) {
  const Network& network = session.network();
  const auto classes = static_cast<std::size_t>(network.classes);
  const auto elements =
      static_cast<std::size_t>(network.layers[static_cast<std::size_t>(network.output_layer)].output_shape.elements());
  const std::span<const float> outputs = pipeline.outputs();
  const std::size_t images = outputs.size() / elements;
  std::vector<float> values(images * classes);
  for (std::size_t i = 0; i < images; ++i)
    network.loss->probabilities(outputs.subspan(i * elements, elements),
                                std::span(values).subspan(i * classes, classes));
  return values;
}

}  // namespace

Evaluation evaluate_graph(const RunOptions& options, const std::filesystem::path& parameters, bool keep_probabilities) {
  RunOptions with_parameters = options;
  with_parameters.init = parameters;
  const Session session(with_parameters, Session::Data::all);
  PipelineOptions forward_only = session.pipeline_options();
  forward_only.training = false;
  const auto pipeline = session.open_pipeline(forward_only);
  ProgressMeter meter(options.progress, 1, session.train_images(), session.test().size());
  meter.begin_test(1);
  const Session::TestResult test =
      session.run_test(*pipeline, true, keep_probabilities,
                       [&](std::int64_t images, double loss_sum) { meter.report(images, loss_sum); });
  Evaluation evaluation;
  evaluation.accuracy = test.accuracy;
  evaluation.loss = test.loss;
  evaluation.images = test.images;
  evaluation.interrupted = test.stopped;
  evaluation.warnings = session.warnings();
  if (test.stopped) return evaluation;
  evaluation.class_names = session.data().class_names;
  for (std::int64_t i = 0; i < test.images; ++i) evaluation.labels.push_back(session.test().label(i));
  evaluation.predicted = pipeline->predicted();
  if (keep_probabilities) evaluation.probabilities = probabilities(session, *pipeline);
  return evaluation;
}

}  // namespace lenet_flow
