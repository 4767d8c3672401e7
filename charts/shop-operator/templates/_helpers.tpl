{{- define "shop-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "shop-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "shop-operator.labels" -}}
{{ include "shop-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "shop-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "shop-operator.fullname" .) }}
{{- else -}}
{{ required "serviceAccount.name: name the ServiceAccount that is there, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- /* Without a registry: a placeholder that resolves nowhere (RFC 6761), so that no image of another origin gets the
operator's rights. */ -}}
{{- define "shop-operator.repository" -}}
{{- with .Values.image -}}
{{- $registry := .registry | default (ternary "" "registry.invalid" (contains "/" .repository)) -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{ .repository }}
{{- end -}}
{{- end -}}

{{- define "shop-operator.image" -}}
{{- with .Values.image -}}
{{ include "shop-operator.repository" $ }}:{{ .tag | default $.Chart.AppVersion | toJson | trimAll "\"" }}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}
