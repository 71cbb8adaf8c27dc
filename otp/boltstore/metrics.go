package boltstore

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	claims   prometheus.Histogram
	duration prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	return &metrics{
		claims: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "otpgate_store_commit_claims",
			Help:    "Claims that shared one commit of the embedded store.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		duration: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "otpgate_store_commit_duration_seconds",
			Help:    "Time of one commit of the embedded store, its fsync included.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 14),
		}),
	}
}

func (m *metrics) committed(claims int) {
	if claims > 0 {
		m.claims.Observe(float64(claims))
	}
}
