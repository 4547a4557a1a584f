package auth

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkConnection(b *testing.B) {
	claims := map[string]any{
		"sub": "ann", "iat": at(-60), "exp": at(3600), "info": map[string]string{"name": "Ann"},
		"caps": []any{map[string]any{"channels": []string{"chat:*"}, "allow": []string{"sub", "pub"}}},
	}
	for _, bench := range []struct {
		key string
		signer
	}{{secret, hs256()}, {publicPEM(b, "p256"), signer{algorithm: "ES256", key: pairs()["p256"]}}} {
		b.Run(bench.algorithm, func(b *testing.B) {
			v := verifier(b, func(o *Options) { o.Key = bench.key })
			token := bench.token(b, claims)
			b.ReportAllocs()
			for b.Loop() {
				_, err := v.Connection(b.Context(), token)
				require.NoError(b, err)
			}
		})
	}
}
