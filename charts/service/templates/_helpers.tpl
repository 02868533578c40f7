{{- define "service.name" -}}
{{- if gt (len .Release.Name) 40 }}{{ fail (printf "the release name %q is longer than 40 characters: its objects' names would not fit" .Release.Name) }}{{ end -}}
{{- .Release.Name -}}
{{- end }}

{{- define "service.selector" -}}
app.kubernetes.io/name: {{ include "service.name" . }}
{{- end }}

{{- define "service.labels" -}}
{{ include "service.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
hetzner-platform/tenant: {{ .Values.tenant }}
hetzner-platform/environment: {{ .Values.environment }}
hetzner-platform/owner: {{ .Values.owner }}
{{- end }}

{{- define "service.probe" -}}
httpGet:
  path: {{ .probe.path | default .path }}
  port: {{ .probe.port | default "http" }}
{{- range $key := list "periodSeconds" "failureThreshold" "timeoutSeconds" "initialDelaySeconds" }}
{{- with index $.probe $key }}
{{ $key }}: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "service.checked" -}}
{{- $namespace := printf "%s-%s" .Values.tenant .Values.environment -}}
{{- if ne .Release.Namespace $namespace }}{{ fail (printf "tenant and environment say namespace %s, but this goes to %s: deploy with --namespace %s" $namespace .Release.Namespace $namespace) }}{{ end -}}
{{- if and .Values.scaling.enabled (gt (int .Values.scaling.min) (int .Values.scaling.max)) }}{{ fail (printf "scaling.min %v is above scaling.max %v" .Values.scaling.min .Values.scaling.max) }}{{ end -}}
{{- if and .Values.metrics.enabled (eq (int .Values.metrics.port) (int .Values.port)) (ne .Values.metrics.path "/metrics") (eq .Values.metrics.path .Values.probes.path) }}{{ fail "metrics.path and probes.path are the same" }}{{ end -}}
{{- end }}
