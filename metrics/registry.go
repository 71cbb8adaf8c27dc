package metrics

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry that holds what is known of any Go process: memory, collections,
// goroutines, open files, processor time. Each package adds its own instruments.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return reg
}

// reloads tell how the last load of the configuration went.
type reloads struct {
	successful, succeededAt prometheus.Gauge
}

// register adds what this package itself measures: the build and the loads of the configuration.
func register(reg prometheus.Registerer, version, revision string) (reloads, error) {
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "otpgate_build_info", Help: "What runs here; always 1.",
	}, []string{"version", "revision", "go_version"})
	build.WithLabelValues(version, revision, runtime.Version()).Set(1)
	r := reloads{
		successful: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "otpgate_config_last_reload_successful",
			Help: "Whether the last load of the configuration succeeded: 1 or 0.",
		}),
		succeededAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "otpgate_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration was last loaded with success, in seconds since 1970.",
		}),
	}
	if err := errors.Join(reg.Register(build), reg.Register(r.successful), reg.Register(r.succeededAt)); err != nil {
		return reloads{}, fmt.Errorf("metrics: register: %w", err)
	}
	return r, nil
}
