package audit

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	events, dropped, errors prometheus.Counter
	size                    prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		events: f.NewCounter(prometheus.CounterOpts{
			Name: "otpgate_audit_events_total", Help: "Events written to the audit trail.",
		}),
		dropped: f.NewCounter(prometheus.CounterOpts{
			Name: "otpgate_audit_dropped_total", Help: "Events that were not recorded in the audit trail.",
		}),
		errors: f.NewCounter(prometheus.CounterOpts{
			Name: "otpgate_audit_errors_total", Help: "Writes to the audit trail that failed.",
		}),
		size: f.NewGauge(prometheus.GaugeOpts{
			Name: "otpgate_audit_size_bytes", Help: "Octets of the audit trail on disk, in all its files.",
		}),
	}
}
