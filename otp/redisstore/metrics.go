package redisstore

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct{ claims prometheus.Histogram }

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{claims: promauto.With(reg).NewHistogram(prometheus.HistogramOpts{
		Name:    "otpgate_store_pipeline_claims",
		Help:    "Claims that shared one pipeline to Redis.",
		Buckets: prometheus.ExponentialBuckets(1, 2, 12),
	})}
}

func (m *metrics) batch(claims int) { m.claims.Observe(float64(claims)) }
