/*
 * The page's words.  See fm_gate_words.h.
 */

#include <stdbool.h>

#include "fm_gate_words.h"

/* The first one is for those who like none of them. */
static const struct fm_gate_words words[FM_GATE_LANGUAGES] = {
	{ .tag = "en",
	  .dir = "ltr",
	  .title = "We will be right back",
	  .message = "The application is being maintained.",
	  .back = "Back at about %s",
	  .late = "It is taking a little longer than planned.",
	  .note = "This page looks again by itself. You can leave it open.",
	  .phases = { [FM_PHASE_PREPARING] = "Getting ready",
		      [FM_PHASE_STOPPING] = "Stopping the application",
		      [FM_PHASE_SAVING] = "Saving a copy of all data",
		      [FM_PHASE_UPDATING] = "Putting the new version in place",
		      [FM_PHASE_STARTING] = "Starting the application",
		      [FM_PHASE_CHECKING] = "Checking that everything works",
		      [FM_PHASE_RESTORING] = "Going back to the earlier version",
		      [FM_PHASE_OPENING] = "Opening again",
		      [FM_PHASE_WORKING] = "Work on the application is under way" } },
	{ .tag = "zh-CN",
	  .dir = "ltr",
	  .title = "我们马上回来",
	  .message = "应用正在维护中。",
	  .back = "预计 %s 左右恢复",
	  .late = "所需时间比预计稍长。",
	  .note = "本页面会自动检查，您可以保持打开。",
	  .phases = { [FM_PHASE_PREPARING] = "正在准备",
		      [FM_PHASE_STOPPING] = "正在停止应用",
		      [FM_PHASE_SAVING] = "正在备份全部数据",
		      [FM_PHASE_UPDATING] = "正在安装新版本",
		      [FM_PHASE_STARTING] = "正在启动应用",
		      [FM_PHASE_CHECKING] = "正在检查是否一切正常",
		      [FM_PHASE_RESTORING] = "正在恢复到之前的版本",
		      [FM_PHASE_OPENING] = "即将恢复访问",
		      [FM_PHASE_WORKING] = "正在进行维护工作" } },
	{ .tag = "ja",
	  .dir = "ltr",
	  .title = "まもなく再開します",
	  .message = "ただいまメンテナンス中です。",
	  .back = "%s 頃に再開する予定です",
	  .late = "予定より少し時間がかかっています。",
	  .note = "このページは自動的に確認を続けます。開いたままお待ちください。",
	  .phases = { [FM_PHASE_PREPARING] = "準備しています",
		      [FM_PHASE_STOPPING] = "アプリケーションを停止しています",
		      [FM_PHASE_SAVING] = "すべてのデータをバックアップしています",
		      [FM_PHASE_UPDATING] = "新しいバージョンに入れ替えています",
		      [FM_PHASE_STARTING] = "アプリケーションを起動しています",
		      [FM_PHASE_CHECKING] = "動作を確認しています",
		      [FM_PHASE_RESTORING] = "以前のバージョンに戻しています",
		      [FM_PHASE_OPENING] = "まもなくご利用いただけます",
		      [FM_PHASE_WORKING] = "作業を行っています" } },
	{ .tag = "ko",
	  .dir = "ltr",
	  .title = "곧 다시 돌아오겠습니다",
	  .message = "현재 점검 중입니다.",
	  .back = "%s경 재개될 예정입니다",
	  .late = "예정보다 조금 더 걸리고 있습니다.",
	  .note = "이 페이지는 자동으로 다시 확인합니다. 열어 두셔도 됩니다.",
	  .phases = { [FM_PHASE_PREPARING] = "준비하고 있습니다",
		      [FM_PHASE_STOPPING] = "애플리케이션을 중지하고 있습니다",
		      [FM_PHASE_SAVING] = "모든 데이터를 백업하고 있습니다",
		      [FM_PHASE_UPDATING] = "새 버전을 적용하고 있습니다",
		      [FM_PHASE_STARTING] = "애플리케이션을 시작하고 있습니다",
		      [FM_PHASE_CHECKING] = "정상 동작을 확인하고 있습니다",
		      [FM_PHASE_RESTORING] = "이전 버전으로 되돌리고 있습니다",
		      [FM_PHASE_OPENING] = "곧 다시 열립니다",
		      [FM_PHASE_WORKING] = "점검 작업이 진행 중입니다" } },
	{ .tag = "de",
	  .dir = "ltr",
	  .title = "Wir sind gleich zurück",
	  .message = "Die Anwendung wird gerade gewartet.",
	  .back = "Zurück gegen %s",
	  .late = "Es dauert etwas länger als geplant.",
	  .note = "Diese Seite sieht von selbst wieder nach. Sie können sie offen lassen.",
	  .phases = { [FM_PHASE_PREPARING] = "Wir bereiten alles vor",
		      [FM_PHASE_STOPPING] = "Die Anwendung wird angehalten",
		      [FM_PHASE_SAVING] = "Alle Daten werden gesichert",
		      [FM_PHASE_UPDATING] = "Die neue Version wird eingespielt",
		      [FM_PHASE_STARTING] = "Die Anwendung wird gestartet",
		      [FM_PHASE_CHECKING] = "Wir prüfen, ob alles funktioniert",
		      [FM_PHASE_RESTORING] = "Wir kehren zur vorherigen Version zurück",
		      [FM_PHASE_OPENING] = "Gleich geht es weiter",
		      [FM_PHASE_WORKING] = "An der Anwendung wird gearbeitet" } },
	{ .tag = "fr",
	  .dir = "ltr",
	  .title = "Nous revenons tout de suite",
	  .message = "L’application est en cours de maintenance.",
	  .back = "De retour vers %s",
	  .late = "Cela prend un peu plus de temps que prévu.",
	  .note = "Cette page vérifie d’elle-même. Vous pouvez la laisser ouverte.",
	  .phases = { [FM_PHASE_PREPARING] = "Préparation en cours",
		      [FM_PHASE_STOPPING] = "Arrêt de l’application",
		      [FM_PHASE_SAVING] = "Sauvegarde de toutes les données",
		      [FM_PHASE_UPDATING] = "Mise en place de la nouvelle version",
		      [FM_PHASE_STARTING] = "Démarrage de l’application",
		      [FM_PHASE_CHECKING] = "Vérification du bon fonctionnement",
		      [FM_PHASE_RESTORING] = "Retour à la version précédente",
		      [FM_PHASE_OPENING] = "Réouverture imminente",
		      [FM_PHASE_WORKING] = "Intervention en cours sur l’application" } },
	{ .tag = "es",
	  .dir = "ltr",
	  .title = "Volvemos enseguida",
	  .message = "La aplicación está en mantenimiento.",
	  .back = "De vuelta hacia las %s",
	  .late = "Está tardando un poco más de lo previsto.",
	  .note = "Esta página lo comprueba por sí sola. Puede dejarla abierta.",
	  .phases = { [FM_PHASE_PREPARING] = "Preparando todo",
		      [FM_PHASE_STOPPING] = "Deteniendo la aplicación",
		      [FM_PHASE_SAVING] = "Guardando una copia de todos los datos",
		      [FM_PHASE_UPDATING] = "Instalando la nueva versión",
		      [FM_PHASE_STARTING] = "Iniciando la aplicación",
		      [FM_PHASE_CHECKING] = "Comprobando que todo funciona",
		      [FM_PHASE_RESTORING] = "Volviendo a la versión anterior",
		      [FM_PHASE_OPENING] = "Abriendo de nuevo",
		      [FM_PHASE_WORKING] = "Se está trabajando en la aplicación" } },
	{ .tag = "pt",
	  .dir = "ltr",
	  .title = "Voltamos em instantes",
	  .message = "O aplicativo está em manutenção.",
	  .back = "De volta por volta das %s",
	  .late = "Está demorando um pouco mais do que o previsto.",
	  .note = "Esta página verifica sozinha. Você pode deixá-la aberta.",
	  .phases = { [FM_PHASE_PREPARING] = "Preparando tudo",
		      [FM_PHASE_STOPPING] = "Parando o aplicativo",
		      [FM_PHASE_SAVING] = "Salvando uma cópia de todos os dados",
		      [FM_PHASE_UPDATING] = "Instalando a nova versão",
		      [FM_PHASE_STARTING] = "Iniciando o aplicativo",
		      [FM_PHASE_CHECKING] = "Verificando se tudo funciona",
		      [FM_PHASE_RESTORING] = "Voltando à versão anterior",
		      [FM_PHASE_OPENING] = "Reabrindo em instantes",
		      [FM_PHASE_WORKING] = "O aplicativo está recebendo manutenção" } },
	{ .tag = "ru",
	  .dir = "ltr",
	  .title = "Мы скоро вернёмся",
	  .message = "Приложение на техническом обслуживании.",
	  .back = "Вернёмся примерно в %s",
	  .late = "Это занимает чуть больше времени, чем планировалось.",
	  .note = "Страница проверяет сама. Её можно не закрывать.",
	  .phases = { [FM_PHASE_PREPARING] = "Подготовка",
		      [FM_PHASE_STOPPING] = "Останавливаем приложение",
		      [FM_PHASE_SAVING] = "Сохраняем копию всех данных",
		      [FM_PHASE_UPDATING] = "Устанавливаем новую версию",
		      [FM_PHASE_STARTING] = "Запускаем приложение",
		      [FM_PHASE_CHECKING] = "Проверяем, что всё работает",
		      [FM_PHASE_RESTORING] = "Возвращаемся к прежней версии",
		      [FM_PHASE_OPENING] = "Скоро откроемся",
		      [FM_PHASE_WORKING] = "В приложении ведутся работы" } },
	{ .tag = "ar",
	  .dir = "rtl",
	  .title = "سنعود قريبًا",
	  .message = "التطبيق قيد الصيانة حاليًا.",
	  .back = "العودة حوالي الساعة %s",
	  .late = "يستغرق الأمر وقتًا أطول قليلًا من المتوقع.",
	  .note = "تتحقق هذه الصفحة تلقائيًا. يمكنك تركها مفتوحة.",
	  .phases = { [FM_PHASE_PREPARING] = "جارٍ التحضير",
		      [FM_PHASE_STOPPING] = "جارٍ إيقاف التطبيق",
		      [FM_PHASE_SAVING] = "جارٍ حفظ نسخة من جميع البيانات",
		      [FM_PHASE_UPDATING] = "جارٍ تثبيت الإصدار الجديد",
		      [FM_PHASE_STARTING] = "جارٍ تشغيل التطبيق",
		      [FM_PHASE_CHECKING] = "جارٍ التحقق من أن كل شيء يعمل",
		      [FM_PHASE_RESTORING] = "جارٍ الرجوع إلى الإصدار السابق",
		      [FM_PHASE_OPENING] = "سنفتح مجددًا بعد قليل",
		      [FM_PHASE_WORKING] = "يجري العمل على التطبيق" } },
};

const struct fm_gate_words *
fm_gate_words(unsigned language)
{
	return &words[language < FM_GATE_LANGUAGES ? language : 0];
}

static bool
is_end(char c)
{
	return c == ',' || c == ';' || c == ' ' || c == '\t';
}

/* The language of a range such as "pt-BR": its first part counts. -1: not ours. */
static int
find(const char *range, const char *end)
{
	for (int i = 0; i < FM_GATE_LANGUAGES; i++) {
		const char *tag = words[i].tag, *p = range;

		while (p < end && *tag != '\0' && *tag != '-' && (*p | 0x20) == *tag) p++, tag++;
		if ((*tag == '\0' || *tag == '-') && (p == end || *p == '-' || is_end(*p)))
			return i;
	}
	return -1;
}

/* Thousandths: 1000 without a weight, 0 when it cannot be read. */
static unsigned
weight(const char *p, const char *end)
{
	unsigned value, unit = 1000;

	while (p < end && *p != ';') p++;
	if (p == end) return 1000;
	p++;
	while (p < end && (*p == ' ' || *p == '\t')) p++;
	if (end - p < 3 || (*p | 0x20) != 'q' || p[1] != '=' || (p[2] != '0' && p[2] != '1'))
		return 0;
	value = (unsigned)(p[2] - '0') * 1000;
	for (p += 3; p < end && (*p == '.' || (*p >= '0' && *p <= '9')); p++) {
		if (*p == '.') continue;
		unit /= 10;
		value += (unsigned)(*p - '0') * unit;
	}
	return value > 1000 ? 1000 : value;
}

unsigned
fm_gate_language(const char *value, size_t size)
{
	const char *p = value, *last = value + size;
	unsigned best = 0, liked = 0;

	for (unsigned n = 0; p < last && n < FM_GATE_RANGES; n++) {
		const char *end = p;
		unsigned like;
		int language;

		while (end < last && *end != ',') end++;
		while (p < end && (*p == ' ' || *p == '\t')) p++;
		/* any language: ours is as good as any */
		language = p < end && *p == '*' ? 0 : find(p, end);
		like = language < 0 ? 0 : weight(p, end);
		if (like > liked) {
			liked = like;
			best = (unsigned)language;
		}
		if (liked == 1000 || end == last) break;
		p = end + 1;
	}
	return best;
}

uint32_t
fm_gate_retry_after(int64_t now, int64_t back_at, int64_t fallback, uint32_t client)
{
	int64_t wait = back_at > now ? back_at - now : fallback, spread;

	if (wait < FM_GATE_RETRY_FLOOR) wait = FM_GATE_RETRY_FLOOR;
	if (wait > FM_GATE_RETRY_CEIL) wait = FM_GATE_RETRY_CEIL;
	spread = wait / 4;
	if (spread > FM_GATE_RETRY_SPREAD) spread = FM_GATE_RETRY_SPREAD;
	return (uint32_t)(wait + (int64_t)(client % (uint32_t)(spread + 1)));
}
