package clock

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// instruments tell what a Watch has found.
type instruments struct {
	offset prometheus.Gauge
	set    prometheus.Counter
}

// newInstruments registers them; the offset only where there is a clock to compare with.
func newInstruments(reg prometheus.Registerer, compared bool) *instruments {
	m := &instruments{
		offset: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "otpgate_clock_offset_seconds",
			Help: "How far this node's clock was ahead of the store's when they were compared last; 0 before that.",
		}),
		set: promauto.With(reg).NewCounter(prometheus.CounterOpts{
			Name: "otpgate_clock_set_total",
			Help: "Times that this node's clock was found to have been set while the node ran.",
		}),
	}
	if compared {
		reg.MustRegister(m.offset)
	}
	return m
}
