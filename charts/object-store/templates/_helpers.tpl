{{- define "store.name" -}}
{{- if gt (len .Release.Name) 40 }}{{ fail (printf "the release name %q is longer than 40 characters: its objects' names would not fit" .Release.Name) }}{{ end -}}
{{- .Release.Name -}}
{{- end }}

{{- define "store.selector" -}}
app.kubernetes.io/name: {{ include "store.name" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "store.labels" -}}
app.kubernetes.io/name: {{ include "store.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "store.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "store.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "store.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Whether it still reads and writes without one server: components/storage/tenant_buckets.py says it with reasons. */}}
{{- define "store.checked" -}}
{{- $servers := int .Values.servers }}{{ $drives := int .Values.drives }}{{ $parity := int .Values.parity -}}
{{- $count := mul $servers $drives }}{{ $data := sub $count $parity }}{{ $remaining := sub $count $drives -}}
{{- $quorum := ternary (add1 $data) $data (eq $data (int64 $parity)) -}}
{{- if or (lt $count 4) (gt $count 16) }}{{ fail (printf "servers %d with %d drives make %d volumes: one erasure set has 4 to 16" $servers $drives $count) }}{{ end -}}
{{- if gt (mul 2 $parity) $count }}{{ fail (printf "parity %d is more than half of %d volumes" $parity $count) }}{{ end -}}
{{- if lt $parity $drives }}{{ fail (printf "parity %d is fewer than the %d volumes that a lost server takes along" $parity $drives) }}{{ end -}}
{{- if lt $remaining $quorum }}{{ fail (printf "without one server %d volumes are left, and writing needs %d: add servers" $remaining $quorum) }}{{ end -}}
{{- end }}
