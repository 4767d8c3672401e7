{{- /* Variable -> table to compare with the orders, as JSON: those that the values name. */ -}}
{{- define "shop.tables" -}}
{{- $tables := dict }}
{{- range $service := list "payment" "product" "shipping" }}
{{- with (index $.Values $service).env }}{{- with .TABLE }}{{- $_ := set $tables (printf "%s_TABLE" (upper $service)) . }}{{- end }}{{- end }}
{{- end }}
{{- toJson $tables }}
{{- end }}

{{- /* Whether the release has the CronJob; nothing for no. */ -}}
{{- define "shop.reconciles" -}}
{{- if and .Values.reconciler.enabled .Values.services.order (eq (len (include "shop.tables" . | fromJson)) 3) }}true{{ end }}
{{- end }}
